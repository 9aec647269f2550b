/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of BalancerBuffer.
 */
#include "httpd/buffer_keys.h"

#include "base/units.h"
#include "httpd/words.h"

#include "apr_file_info.h"
#include "apr_strings.h"

#define MEMORY_DEFAULT UINT64_C(1048576)
#define FILE_DEFAULT UINT64_C(1073741824)
#define SIZE_MAX_OF_MEMORY UINT64_C(1073741824) /* of one request: more is a mistake */

void abl_buffer_defaults(apr_pool_t *p, abl_buffer_conf_t *buffer)
{
    *buffer =
        (abl_buffer_conf_t){.request = MEMORY_DEFAULT, .response = MEMORY_DEFAULT, .file = FILE_DEFAULT};
    /* Not once per request: APR finds out by writing a file. */
    if (apr_temp_dir_get(&buffer->folder, p) != APR_SUCCESS) {
        buffer->folder = "/tmp";
    }
}

static const char *read_memory(const char *value, uint64_t *size)
{
    int64_t n;

    if (abl_units_size(value, &n) != NULL || n > (int64_t)SIZE_MAX_OF_MEMORY) {
        return "expected a size up to 1G, such as 256K or 1M";
    }
    *size = (uint64_t)n;
    return NULL;
}

static const char *read_size(const char *value, uint64_t *size)
{
    int64_t n;
    const char *error = abl_units_size(value, &n);

    if (error == NULL) {
        *size = (uint64_t)n;
    }
    return error;
}

static const char *set_request(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_memory(value, &((abl_buffer_conf_t *)conf)->request);
}

static const char *set_response(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_memory(value, &((abl_buffer_conf_t *)conf)->response);
}

static const char *set_file(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_size(value, &((abl_buffer_conf_t *)conf)->file);
}

static const char *set_max(void *conf, apr_pool_t *p, const char *value)
{
    (void)p;
    return read_size(value, &((abl_buffer_conf_t *)conf)->max);
}

static const char *set_folder(void *conf, apr_pool_t *p, const char *value)
{
    const char *folder = ap_server_root_relative(p, value);
    apr_finfo_t info;

    if (folder == NULL || apr_stat(&info, folder, APR_FINFO_TYPE, p) != APR_SUCCESS ||
        info.filetype != APR_DIR) {
        return "expected a folder that exists";
    }
    ((abl_buffer_conf_t *)conf)->folder = folder;
    return NULL;
}

static const abl_word_t words[] = {{"request", set_request}, {"response", set_response}, {"file", set_file},
                                   {"max", set_max},         {"folder", set_folder},     {NULL, NULL}};

static const abl_words_t buffer_words = {.directive = "BalancerBuffer",
                                         .keys = "request=, response=, file=, max=, folder=",
                                         .none_id = "ABL0194",
                                         .unknown_id = "ABL0195",
                                         .twice_id = "ABL0196",
                                         .bad_id = "ABL0197",
                                         .words = words};

const char *abl_buffer_keys_parse(apr_pool_t *p, const char *args, abl_buffer_conf_t *buffer, unsigned *seen)
{
    return abl_words_parse(p, &buffer_words, args, buffer, seen);
}
