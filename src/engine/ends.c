/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for the ends.
 */
#include "engine/ends.h"

const char *abl_end_word(unsigned end)
{
    static const char *const words[ABL_ENDS] = {[ABL_END_NONE] = "none",
                                                [ABL_END_OK] = "ok",
                                                [ABL_END_REFUSED] = "refused",
                                                [ABL_END_NO_MEMBER] = "no-member",
                                                [ABL_END_QUEUE_FULL] = "queue-full",
                                                [ABL_END_CLIENT_QUEUE_FULL] = "client-queue-full",
                                                [ABL_END_QUEUE_TIMEOUT] = "queue-timeout",
                                                [ABL_END_BROKEN] = "broken",
                                                [ABL_END_BAD_ANSWER] = "bad-answer",
                                                [ABL_END_TIMEOUT] = "timeout",
                                                [ABL_END_SHORT] = "short",
                                                [ABL_END_CLIENT_BODY] = "client-body",
                                                [ABL_END_CLIENT_GONE] = "client-gone"};

    return words[end < ABL_ENDS ? end : ABL_END_NONE];
}

const char *abl_end_class(int status_class)
{
    static const char *const words[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

    return words[status_class > 0 && status_class < 6 ? status_class : 0];
}

bool abl_end_is_error(unsigned end, int status_class)
{
    switch (end) {
    case ABL_END_OK:
        return status_class == 5;
    case ABL_END_NONE:
    case ABL_END_REFUSED:
    case ABL_END_CLIENT_BODY:
    case ABL_END_CLIENT_GONE:
        return false;
    default:
        return true;
    }
}
