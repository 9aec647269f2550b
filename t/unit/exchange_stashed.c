/* SPDX-License-Identifier: Apache-2.0
 *
 * The exchange's tests once more, with a stash between the exchange and its events: the answer's order, bytes
 * and end are the same.
 */
#define STASHED
#include "exchange.c"
