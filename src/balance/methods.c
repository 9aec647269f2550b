/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of built-in methods.
 */
#include "balance/methods.h"

#include <stddef.h>

const abl_method_t *const abl_methods[] = {&abl_method_roundrobin, &abl_method_leastbusy, &abl_method_traffic,
                                           &abl_method_latency,    &abl_method_hash,      NULL};
