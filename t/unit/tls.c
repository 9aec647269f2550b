/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS over a pair of sockets: the test plays the member with OpenSSL's server side, step by step, so that
 * everything can come in pieces, late, or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <apr_general.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "engine/conn.h"
#include "unit.h"

typedef struct world_t {
    apr_pool_t *pool;
    char folder[32], cert[64], key[64];
    abl_tls_conf_t conf;
    abl_tls_t *tls;
    abl_tls_conn_t *conn;
    SSL_CTX *server_ctx;
    SSL *server;
    int fd[2]; /* ours, the member's */
} world_t;

/* ---- the member ------------------------------------------------------------------------------------- */

static void write_files(world_t *w, X509 *cert, EVP_PKEY *key)
{
    FILE *file;

    strcpy(w->folder, "/tmp/abl-tls-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(w->folder));
    snprintf(w->cert, sizeof(w->cert), "%s/cert.pem", w->folder);
    snprintf(w->key, sizeof(w->key), "%s/key.pem", w->folder);
    ck_assert_ptr_nonnull(file = fopen(w->cert, "w"));
    PEM_write_X509(file, cert);
    fclose(file);
    ck_assert_ptr_nonnull(file = fopen(w->key, "w"));
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by itself, for member.test. */
static void make_certificate(world_t *w)
{
    EVP_PKEY_CTX *generator = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    ck_assert_int_eq(EVP_PKEY_keygen_init(generator), 1);
    ck_assert_int_eq(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(generator, NID_X9_62_prime256v1), 1);
    ck_assert_int_eq(EVP_PKEY_keygen(generator, &key), 1);
    EVP_PKEY_CTX_free(generator);
    X509_set_version(cert, 2);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"unit", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    add_extension(cert, NID_subject_alt_name, "DNS:member.test");
    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    write_files(w, cert, key);
    w->server_ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(w->server_ctx, cert);
    SSL_CTX_use_PrivateKey(w->server_ctx, key);
    SSL_CTX_set_mode(w->server_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void begin(world_t *w)
{
    memset(w, 0, sizeof(*w));
    ck_assert_int_eq(apr_initialize(), APR_SUCCESS);
    ck_assert_int_eq(apr_pool_create(&w->pool, NULL), APR_SUCCESS);
    make_certificate(w);
    w->conf.ca = w->cert;
    w->conf.name = "member.test";
    ck_assert_pstr_eq(abl_tls_make(w->pool, &w->conf, &w->tls), NULL);
}

static void open_pair(world_t *w)
{
    int small = 8192, i;

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, w->fd), 0);
    for (i = 0; i < 2; i++) {
        ck_assert_int_eq(setsockopt(w->fd[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    }
    w->conn = abl_tls_open(w->tls, w->fd[0]);
    ck_assert_ptr_nonnull(w->conn);
    w->server = SSL_new(w->server_ctx);
    SSL_set_fd(w->server, w->fd[1]);
    SSL_set_accept_state(w->server);
}

static apr_status_t shake(world_t *w)
{
    apr_status_t rv;
    int served, turns = 0;

    do {
        rv = abl_tls_handshake(w->conn);
        served = SSL_do_handshake(w->server);
        ck_assert_int_lt(turns++, 100);
    } while (APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && served != 1));
    return rv;
}

static void close_pair(world_t *w)
{
    abl_tls_close(w->conn);
    SSL_free(w->server);
    close(w->fd[0]);
    close(w->fd[1]);
}

static void end(world_t *w)
{
    SSL_CTX_free(w->server_ctx);
    unlink(w->cert);
    unlink(w->key);
    rmdir(w->folder);
    apr_pool_destroy(w->pool);
}

static void member_says(const world_t *w, const char *bytes, size_t len)
{
    ck_assert_int_eq(SSL_write(w->server, bytes, (int)len), (int)len);
}

static void expect(const world_t *w, apr_status_t expected, const char *bytes, size_t len, bool expected_more)
{
    char buffer[64];
    size_t got;
    bool more;

    ck_assert_int_eq(abl_tls_read(w->conn, buffer, len > 0 ? len : sizeof(buffer), &got, &more), expected);
    ck_assert_uint_eq(got, expected == APR_SUCCESS ? len : 0);
    ck_assert_mem_eq(buffer, bytes, got);
    ck_assert(more == expected_more);
}

/* ---- what is tested --------------------------------------------------------------------------------- */

START_TEST(the_handshake)
{
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert(APR_STATUS_IS_EAGAIN(abl_tls_handshake(w.conn)));
    ck_assert(!abl_tls_wants_write(w.conn));
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    ck_assert_pstr_eq(SSL_get_servername(w.server, TLSEXT_NAMETYPE_host_name), "member.test");
    ck_assert_pstr_eq(abl_tls_why(w.conn), NULL);
    close_pair(&w);
    end(&w);
}
END_TEST

START_TEST(another_name)
{
    world_t w;

    begin(&w);
    w.conf.name = "other.test";
    ck_assert_pstr_eq(abl_tls_make(w.pool, &w.conf, &w.tls), NULL);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), EPROTO);
    ck_assert_str_eq(abl_tls_why(w.conn),
                     "its certificate is for member.test and not for other.test (tls-name=)");
    ck_assert_int_eq(abl_tls_handshake(w.conn), EPROTO); /* and that is final */
    close_pair(&w);
    end(&w);
}
END_TEST

/* A record is larger than the room, so that the rest waits where no poll sees it. */
START_TEST(what_is_read_ahead)
{
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    expect(&w, EAGAIN, "", 0, false);
    member_says(&w, "abcdef", 6);
    member_says(&w, "gh", 2);
    expect(&w, APR_SUCCESS, "ab", 2, true);
    ck_assert(abl_tls_pending(w.conn));
    expect(&w, APR_SUCCESS, "cdef", 4, true);
    ck_assert(abl_tls_pending(w.conn));
    expect(&w, APR_SUCCESS, "gh", 2, false);
    expect(&w, EAGAIN, "", 0, false);
    ck_assert(!abl_tls_pending(w.conn));
    close_pair(&w);
    end(&w);
}
END_TEST

START_TEST(how_it_ends)
{
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    member_says(&w, "ab", 2);
    SSL_shutdown(w.server);
    expect(&w, APR_SUCCESS, "ab", 2, true);
    expect(&w, APR_EOF, "", 0, false);
    expect(&w, APR_EOF, "", 0, false);
    ck_assert(!abl_tls_fit(w.conn));
    close_pair(&w);

    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    member_says(&w, "ab", 2);
    shutdown(w.fd[1], SHUT_WR);
    expect(&w, APR_SUCCESS, "ab", 2, false);
    expect(&w, ABL_TLS_CUT, "", 0, false);
    expect(&w, ABL_TLS_CUT, "", 0, false);
    ck_assert_ptr_nonnull(strstr(abl_tls_why(w.conn), "close_notify"));
    close_pair(&w);
    end(&w);
}
END_TEST

START_TEST(an_idle_connection)
{
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    ck_assert(abl_tls_fit(w.conn)); /* two tickets have come */
    ck_assert(abl_tls_fit(w.conn));
    ck_assert_int_eq(SSL_new_session_ticket(w.server), 1);
    ck_assert_int_eq(SSL_do_handshake(w.server), 1);
    ck_assert(abl_tls_fit(w.conn));
    ck_assert_int_eq(SSL_key_update(w.server, SSL_KEY_UPDATE_REQUESTED), 1);
    ck_assert_int_eq(SSL_do_handshake(w.server), 1);
    ck_assert(abl_tls_fit(w.conn));
    member_says(&w, "x", 1);
    ck_assert(!abl_tls_fit(w.conn));
    expect(&w, APR_SUCCESS, "x", 1, false); /* nothing was lost by looking */
    close_pair(&w);

    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    shutdown(w.fd[1], SHUT_WR);
    ck_assert(!abl_tls_fit(w.conn));
    close_pair(&w);
    end(&w);
}
END_TEST

static bool resumed(world_t *w)
{
    bool reused;

    open_pair(w);
    ck_assert_int_eq(shake(w), APR_SUCCESS);
    ck_assert(abl_tls_fit(w->conn));
    reused = SSL_session_reused(w->server);
    close_pair(w);
    return reused;
}

START_TEST(sessions)
{
    static const unsigned char id[] = "unit";
    int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    world_t w;

    for (size_t i = 0; i < COUNT(versions); i++) {
        begin(&w);
        SSL_CTX_set_session_id_context(w.server_ctx, id, sizeof(id));
        SSL_CTX_set_max_proto_version(w.server_ctx, versions[i]);
        ck_assert(!resumed(&w));
        for (int n = 0; n < 20; n++) {
            ck_assert(resumed(&w));
        }
        end(&w);
    }
}
END_TEST

static size_t drain(const world_t *w, char *to, size_t at)
{
    int rc;

    while ((rc = SSL_read(w->server, to + at, 3000)) > 0) {
        at += (size_t)rc;
    }
    return at;
}

/* The socket takes less than a record at once. */
START_TEST(a_socket_that_is_full)
{
    static char sent[300000], seen[310000];
    struct iovec iov[3];
    size_t done = 0, arrived = 0, taken, waits = 0;
    world_t w;

    for (size_t i = 0; i < sizeof(sent); i++) {
        sent[i] = (char)(i * 7 + i / 251);
    }
    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    while (done < sizeof(sent)) {
        size_t left = sizeof(sent) - done, first = left < 100 ? left : 100;
        size_t second = left - first < 20000 ? left - first : 20000;
        iov[0] = (struct iovec){sent + done, first};
        iov[1] = (struct iovec){sent + done + first, second};
        iov[2] = (struct iovec){sent + done + first + second, left - first - second};
        apr_status_t rv = abl_tls_write(w.conn, iov, 3, &taken);
        ck_assert(rv == APR_SUCCESS || APR_STATUS_IS_EAGAIN(rv));
        ck_assert(taken == 0 || rv == APR_SUCCESS);
        done += taken;
        if (rv != APR_SUCCESS) {
            ck_assert(abl_tls_wants_write(w.conn));
            waits++;
            arrived = drain(&w, seen, arrived);
        }
    }
    arrived = drain(&w, seen, arrived);
    ck_assert_uint_gt(waits, 5);
    ck_assert_uint_eq(arrived, sizeof(sent));
    ck_assert_mem_eq(seen, sent, sizeof(sent));
    close_pair(&w);
    end(&w);
}
END_TEST

/* What the member has said before it closed is there all the same, and nothing raises SIGPIPE. */
START_TEST(a_member_that_takes_no_more)
{
    struct iovec iov = {(char *)"abc", 3};
    size_t taken;
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    member_says(&w, "answer", 6);
    SSL_shutdown(w.server);
    shutdown(w.fd[1], SHUT_RD);
    ck_assert_int_eq(abl_tls_write(w.conn, &iov, 1, &taken), EPIPE);
    expect(&w, APR_SUCCESS, "answer", 6, true);
    expect(&w, APR_EOF, "", 0, false);
    close_pair(&w);
    end(&w);
}
END_TEST

/* The configuration goes, a connection is still there. */
START_TEST(outlives_its_configuration)
{
    world_t w;

    begin(&w);
    open_pair(&w);
    ck_assert_int_eq(shake(&w), APR_SUCCESS);
    apr_pool_clear(w.pool);
    member_says(&w, "ab", 2);
    expect(&w, APR_SUCCESS, "ab", 2, false);
    close_pair(&w);
    end(&w);
}
END_TEST

UNIT_MAIN("tls", the_handshake, another_name, what_is_read_ahead, how_it_ends, an_idle_connection, sessions,
          a_socket_that_is_full, a_member_that_takes_no_more, outlives_its_configuration)
