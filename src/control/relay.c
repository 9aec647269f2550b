/* SPDX-License-Identifier: Apache-2.0
 *
 * From an instance's output to a log.
 */
#include "control/relay.h"

#include "base/clock.h"
#include "control/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_AT_ONCE 65536 /* bytes; then it is the others' turn */
#define LINES_AT_ONCE 1000 /* of one instance, to the error log */
#define LINES_A_SECOND 100

typedef struct speaker_t {
    abl_supervised_t *app;
    int slot;
} speaker_t;

/* May one more line go to the error log? Who writes without end must not fill it. */
static bool may_say(abl_held_t *held, int64_t now)
{
    int64_t more = (now - held->lines_at) / (ABL_SECOND / LINES_A_SECOND);

    if (more > 0) {
        held->lines = held->lines + more < LINES_AT_ONCE ? held->lines + (int)more : LINES_AT_ONCE;
        held->lines_at = now;
    }
    held->left_out += held->lines == 0;
    return held->lines > 0 && held->lines-- > 0;
}

static void on_line(void *ctx, const char *line, size_t len)
{
    const speaker_t *speaker = ctx;
    abl_supervised_t *app = speaker->app;
    abl_held_t *held = &app->held[speaker->slot];
    abl_board_slot_t *s = abl_board_slot_of(app, speaker->slot);
    long pid = abl_board_slot_of(app, speaker->slot)->pid;
    int64_t now = abl_clock_now();

    (void)snprintf(s->lines[s->nlines++ % ABL_SLOT_LINES], sizeof(s->lines[0]), "%.*s", (int)len, line);
    if ((app->log.to != NULL && abl_log_line(&app->log, line, len, now)) || !may_say(held, now)) {
        return;
    }
    if (held->left_out > 0) {
        abl_say(ABL_SAY_WARNING, 0, "ABL0049: %s[%d] %ld: %llu lines were left out", app->row->name,
                speaker->slot + 1, pid, (unsigned long long)held->left_out);
        held->left_out = 0;
    }
    abl_say(ABL_SAY_OUTPUT, 0, "ABL0030: %s[%d] %ld: %.*s", app->row->name, speaker->slot + 1, pid, (int)len,
            line);
}

static void close_output(abl_supervised_t *app, int slot)
{
    abl_held_t *held = &app->held[slot];
    speaker_t speaker = {app, slot};

    close(held->output_plus_one - 1);
    held->output_plus_one = 0;
    abl_output_end(held->output, on_line, &speaker);
}

void abl_relay_read(abl_supervised_t *app, int slot)
{
    abl_held_t *held = &app->held[slot];
    speaker_t speaker = {app, slot};

    if (held->output_plus_one != 0 &&
        !abl_output_read(held->output, held->output_plus_one - 1, READ_AT_ONCE, on_line, &speaker)) {
        close_output(app, slot);
    }
}

void abl_relay_end(abl_supervised_t *app, int slot)
{
    abl_relay_read(app, slot);
    if (app->held[slot].output_plus_one != 0) {
        close_output(app, slot);
    }
}

void abl_relay_begin(abl_supervised_t *app, int slot, int fd)
{
    abl_held_t *held = &app->held[slot];

    if (held->output == NULL) {
        held->output = malloc(sizeof(*held->output));
    }
    if (held->output == NULL) {
        close(fd);
        return;
    }
    abl_output_clear(held->output);
    held->output_plus_one = fd + 1;
    app->watch->output(app->watch->ctx, fd, app->index, slot);
}
