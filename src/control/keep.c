/* SPDX-License-Identifier: Apache-2.0
 *
 * The file is JSON, for people too: {"version": 1, "members": [{"balancer": …, "address": …, …}]}. Of each
 * thing that was changed it says what holds, and what the configuration said then.
 */
#include "control/keep.h"

#include "base/clock.h"
#include "base/hash.h"
#include "control/say.h"

#include <apr_strings.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1
#define TRY_AGAIN (5 * ABL_SECOND)

/* ---- to JSON ---------------------------------------------------------------------------------------- */

static json_t *to_json(const abl_steered_t *s)
{
    json_t *o = json_pack("{s:s, s:s, s:b, s:b}", "balancer", s->balancer, "address", s->address, "added",
                          s->added, "drain", s->drain);

    /* A note that is no UTF-8 cannot be kept, which does no harm. */
    (void)json_object_set_new(o, "status_note", json_string(s->notes[ABL_NOTE_OF_STATUS]));
    (void)json_object_set_new(o, "note", json_string(s->notes[ABL_NOTE_OF_REST]));
    (void)json_object_set_new(o, "status", json_integer(s->status));
    (void)json_object_set_new(o, "configured_status", json_integer(s->conf_status));
    (void)json_object_set_new(o, "weight", json_integer(s->weight));
    (void)json_object_set_new(o, "configured_weight", json_integer(s->conf_weight));
    (void)json_object_set_new(o, "concurrency", json_integer(s->limit));
    (void)json_object_set_new(o, "configured_concurrency", json_integer(s->conf_limit));
    (void)json_object_set_new(o, "changed", json_integer((json_int_t)s->what));
    return o;
}

static json_t *all_to_json(abl_segment_t *segment)
{
    json_t *members = json_array();
    abl_steered_t s;
    uint32_t row = 0;

    while (abl_steer_next(segment, &row, &s)) {
        (void)json_array_append_new(members, to_json(&s));
    }
    return json_pack("{s:i, s:o}", "version", VERSION, "members", members);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

/* All of it is on the disk, or an errno. Whatever somebody has left there is not written to: it may be a pipe
 * that nobody reads, or open for whoever made it. */
static int write_all(const char *path, const char *text, size_t len)
{
    int error = 0;
    int fd;

    (void)unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    while (len > 0 && error == 0) {
        ssize_t n = write(fd, text, len);
        error = n < 0 && errno != EINTR ? errno : 0;
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    if (error == 0 && fsync(fd) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    return error;
}

/* A new name is on the disk when the folder is; where that cannot be had, it is so a little later. */
static void keep_names(const char *path)
{
    char *copy = strdup(path);
    int folder = copy != NULL ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (folder >= 0) {
        (void)fsync(folder);
        (void)close(folder);
    }
    free(copy);
}

int abl_keep_write(abl_segment_t *segment, const char *path)
{
    json_t *root = all_to_json(segment);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    size_t room = strlen(path) + sizeof(".new");
    char *other = malloc(room);
    int error = ENOMEM;

    if (text != NULL && other != NULL) {
        (void)snprintf(other, room, "%s.new", path);
        error = write_all(other, text, strlen(text));
        if (error == 0 && rename(other, path) != 0) {
            error = errno;
        }
        if (error != 0) {
            (void)unlink(other);
        } else {
            keep_names(path);
        }
    }
    json_decref(root);
    free(text);
    free(other);
    return error;
}

static void say(abl_keep_t *keep, const char *path, int error)
{
    if (error != 0 && error != keep->error) {
        abl_say(ABL_SAY_ERROR, error,
                "ABL0082: BalancerPersist %s cannot be written: what was changed by hand would be lost with "
                "a stop of "
                "httpd; it is tried again",
                path);
    } else if (error == 0 && keep->error != 0) {
        abl_say(ABL_SAY_NOTICE, 0, "ABL0083: BalancerPersist %s is written again", path);
    }
    keep->error = error;
}

int64_t abl_keep_work(abl_keep_t *keep, const char *path, int64_t now)
{
    apr_uint64_t number = abl_steer_number(keep->segment);

    if (path == NULL) {
        return INT64_MAX;
    }
    if (keep->begun && number == keep->written && keep->path == abl_hash_text(path)) {
        keep->error = 0; /* of another path */
        return INT64_MAX;
    }
    if (now < keep->again) {
        return keep->again;
    }
    say(keep, path, abl_keep_write(keep->segment, path));
    if (keep->error != 0) {
        keep->again = now + TRY_AGAIN;
        return keep->again;
    }
    keep->begun = true;
    keep->written = number;
    keep->path = abl_hash_text(path);
    return INT64_MAX;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

static bool read_number(const json_t *o, const char *key, json_int_t most, json_int_t *into)
{
    const json_t *value = json_object_get(o, key);

    *into = json_integer_value(value);
    return json_is_integer(value) && *into >= 0 && *into <= most;
}

static bool read_text(const json_t *o, const char *key, char *into, size_t room)
{
    const char *text = json_string_value(json_object_get(o, key));

    if (text == NULL || strlen(text) >= room) {
        return false;
    }
    apr_cpystrn(into, text, room);
    return true;
}

static bool from_json(const json_t *o, abl_steered_t *s)
{
    json_int_t status, conf_status, weight, conf_weight, limit, conf_limit, what;

    memset(s, 0, sizeof(*s));
    if (!read_text(o, "balancer", s->balancer, sizeof(s->balancer)) ||
        !read_text(o, "address", s->address, sizeof(s->address)) ||
        !read_number(o, "status", ABL_STATUS_DISABLED, &status) ||
        !read_number(o, "configured_status", ABL_STATUS_DISABLED, &conf_status) ||
        !read_number(o, "weight", 10000, &weight) || weight == 0 ||
        !read_number(o, "configured_weight", 10000, &conf_weight) || conf_weight == 0 ||
        !read_number(o, "concurrency", UINT32_MAX, &limit) ||
        !read_number(o, "configured_concurrency", UINT32_MAX, &conf_limit) ||
        !read_number(o, "changed", 7, &what)) {
        return false;
    }
    (void)read_text(o, "status_note", s->notes[ABL_NOTE_OF_STATUS], ABL_NOTE_MAX);
    (void)read_text(o, "note", s->notes[ABL_NOTE_OF_REST], ABL_NOTE_MAX);
    s->added = json_is_true(json_object_get(o, "added"));
    s->drain = json_is_true(json_object_get(o, "drain"));
    s->status = (int)status;
    s->conf_status = (int)conf_status;
    s->weight = (apr_uint32_t)weight;
    s->conf_weight = (apr_uint32_t)conf_weight;
    s->limit = (apr_uint32_t)limit;
    s->conf_limit = (apr_uint32_t)conf_limit;
    s->what = (unsigned)what;
    return true;
}

/* All of it or nothing: the first of them that is not understood, from 1; 0: there is none. */
static size_t find_unknown(const json_t *members)
{
    size_t i;
    const json_t *o;
    abl_steered_t s;

    json_array_foreach(members, i, o)
    {
        if (!from_json(o, &s)) {
            return i + 1;
        }
    }
    return 0;
}

static void use(abl_segment_t *segment, const json_t *members, const abl_keep_news_t *news)
{
    size_t i;
    const json_t *o;
    abl_steered_t s;

    json_array_foreach(members, i, o)
    {
        bool found;
        unsigned stale;
        (void)from_json(o, &s);
        stale = abl_steer_again(segment, &s, &found);
        if (stale != 0 || !found) {
            news->lost(news->ctx, &s, stale, found);
        }
    }
}

/* NULL: *text is what is in it, NULL where there is no file. */
static const char *read_all(const char *path, apr_pool_t *pool, char **text, size_t *len)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* nobody waits for a pipe */
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    struct stat st;

    *text = NULL;
    if (file == NULL) {
        char error[128];
        return errno == ENOENT ? NULL : apr_pstrdup(pool, apr_strerror(errno, error, sizeof(error)));
    }
    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > ABL_KEEP_FILE_MAX) {
        (void)fclose(file);
        return "it is no file, or too long";
    }
    *text = apr_palloc(pool, (size_t)st.st_size + 1);
    *len = fread(*text, 1, (size_t)st.st_size, file);
    (void)fclose(file);
    return NULL;
}

const char *abl_keep_read(abl_segment_t *segment, const char *path, apr_pool_t *pool,
                          const abl_keep_news_t *news)
{
    char *text;
    size_t len = 0;
    const char *why = read_all(path, pool, &text, &len);
    const json_t *members;
    json_error_t error;
    json_t *root;
    size_t unknown;

    if (why != NULL || text == NULL) {
        return why;
    }
    root = json_loadb(text, len, 0, &error);
    members = json_object_get(root, "members");
    unknown = find_unknown(members);
    if (json_integer_value(json_object_get(root, "version")) != VERSION || !json_is_array(members)) {
        why = root == NULL ? apr_psprintf(pool, "%s, in line %d", error.text, error.line)
                           : "it is not of this module, or of a later version of it";
    } else if (unknown > 0) {
        why = apr_psprintf(pool, "member %d of its list is not understood", (int)unknown);
    } else {
        use(segment, members, news);
    }
    json_decref(root);
    return why;
}
