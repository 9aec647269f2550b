/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's side of a connection. Each call begins with an empty queue of errors, because the queue is the
 * thread's and mod_ssl uses it too.
 */
#include "engine/tls.h"

#include <apr_strings.h>
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define SESSIONS_MAX 16  /* of a member, in each child */
#define SESSION_AGE 3600 /* s: then the member shows its certificate again */
#define RECORD_MAX 16384 /* bytes of ours in one record */
#define NAMES_MAX 160    /* bytes of a log line for the names that a certificate has */
#define WHY_MAX 400      /* bytes of a log line */
#define FIRST_ALERT 1000 /* OpenSSL's reasons from here on are alerts that came from the other side */

struct abl_tls_t {
    atomic_int users; /* the configuration, and each connection: who goes last frees */
    pid_t maker;
    SSL_CTX *ctx;
    BIO_METHOD *method;
    char *name; /* malloc's, as everything here: a child may be told to exit while a thread uses it */
    bool is_address;
    pthread_mutex_t lock; /* protects what follows */
    SSL_SESSION *sessions[SESSIONS_MAX];
    int nsessions;
};

struct abl_tls_conn_t {
    abl_tls_t *tls;
    SSL *ssl;
    int fd;
    int error;         /* the socket's last one */
    bool emptied;      /* the last look at the socket took all there was */
    bool eof;          /* it ended */
    bool ready;        /* the handshake is done */
    bool wants_write;  /* see abl_tls_wants_write() */
    apr_status_t over; /* nothing more will be read; APR_SUCCESS: it may */
    char names[NAMES_MAX];
    char why[WHY_MAX]; /* "": nothing went wrong */
};

/* ---- the socket: send() and recv() as OpenSSL wants them; its own would raise SIGPIPE ----------------- */

static int socket_write(BIO *bio, const char *bytes, int len)
{
    abl_tls_conn_t *conn = BIO_get_data(bio);
    ssize_t rc;

    BIO_clear_retry_flags(bio);
    conn->error = 0;
    do {
        rc = send(conn->fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_write(bio);
    } else if (rc < 0) {
        conn->error = errno;
    }
    return (int)rc;
}

static int socket_read(BIO *bio, char *to, int room)
{
    abl_tls_conn_t *conn = BIO_get_data(bio);
    ssize_t rc;

    BIO_clear_retry_flags(bio);
    conn->error = 0;
    do {
        rc = recv(conn->fd, to, (size_t)room, MSG_DONTWAIT);
    } while (rc < 0 && errno == EINTR);
    conn->emptied = rc < room;
    conn->eof = rc == 0;
    if (rc < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        BIO_set_retry_read(bio);
    } else if (rc < 0) {
        conn->error = errno;
    }
    return (int)rc;
}

static long socket_control(BIO *bio, int what, long number, void *pointer)
{
    const abl_tls_conn_t *conn = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (what == BIO_CTRL_EOF) {
        return conn->eof;
    }
    return what == BIO_CTRL_FLUSH;
}

static int socket_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *make_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "member");

    if (method != NULL) {
        BIO_meth_set_write(method, socket_write);
        BIO_meth_set_read(method, socket_read);
        BIO_meth_set_ctrl(method, socket_control);
        BIO_meth_set_create(method, socket_create);
    }
    return method;
}

/* ---- sessions --------------------------------------------------------------------------------------- */

/* Each is used once: a ticket that is seen twice would tell which connections are one client's, and some
 * servers refuse it. */
static SSL_SESSION *take_session(abl_tls_t *tls)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&tls->lock);
    while (session == NULL && tls->nsessions > 0) {
        long now = (long)time(NULL), since;
        session = tls->sessions[--tls->nsessions];
        since = SSL_SESSION_get_time(session);
        if (now >= since + SESSION_AGE || now >= since + SSL_SESSION_get_timeout(session) ||
            !SSL_SESSION_is_resumable(session)) {
            SSL_SESSION_free(session);
            session = NULL;
        }
    }
    pthread_mutex_unlock(&tls->lock);
    return session;
}

/* Takes the session over. A session is worth no waiting: in a keeper (orphans.c) nobody might open the lock
 * again. */
static void keep_session(abl_tls_t *tls, SSL_SESSION *session)
{
    SSL_SESSION *oldest = session;

    if (pthread_mutex_trylock(&tls->lock) == 0) {
        oldest = NULL;
        if (tls->nsessions == SESSIONS_MAX) {
            oldest = tls->sessions[0];
            memmove(tls->sessions, tls->sessions + 1, (SESSIONS_MAX - 1) * sizeof(SSL_SESSION *));
            tls->nsessions--;
        }
        tls->sessions[tls->nsessions++] = session;
        pthread_mutex_unlock(&tls->lock);
    }
    if (oldest != NULL) {
        SSL_SESSION_free(oldest);
    }
}

/* OpenSSL has a session: after the handshake, or, with TLS 1.3, when the member sends a ticket. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    abl_tls_conn_t *conn = SSL_get_app_data(ssl);

    keep_session(conn->tls, session);
    return 1; /* it is ours now */
}

/* ---- what a member's connections share -------------------------------------------------------------- */

static void leave(abl_tls_t *tls)
{
    if (atomic_fetch_sub(&tls->users, 1) > 1) {
        return;
    }
    while (tls->nsessions > 0) {
        SSL_SESSION_free(tls->sessions[--tls->nsessions]);
    }
    pthread_mutex_destroy(&tls->lock);
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->method);
    free(tls->name);
    free(tls);
}

/* A child may be told to exit inside any instruction, malloc's included: there nothing is freed. */
static apr_status_t leave_configuration(void *data)
{
    abl_tls_t *tls = data;

    if (getpid() == tls->maker) {
        leave(tls);
    }
    return APR_SUCCESS;
}

/* The first reason in the queue of errors; NULL: there is none. */
static const char *first_reason(void)
{
    unsigned long error = ERR_peek_error();

    if (error == 0) {
        return NULL;
    }
    return ERR_GET_LIB(error) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(error))
                                             : ERR_reason_error_string(error);
}

static const char *bad_file(apr_pool_t *pool, const char *key, const char *file, const char *right)
{
    const char *reason = access(file, R_OK) != 0 ? strerror(errno) : first_reason();

    return apr_psprintf(pool, "%s=%s cannot be used: %s; %s", key, file,
                        reason != NULL ? reason : "it is empty", right);
}

/* Nobody is there to be asked. */
static int no_pass_phrase(char *to, int room, int writing, void *data)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)data;
    return 0;
}

static const char *use_certificate(apr_pool_t *pool, const abl_tls_conf_t *conf, SSL_CTX *ctx)
{
    const char *key = conf->key != NULL ? conf->key : conf->cert;

    if (conf->cert == NULL) {
        return NULL;
    }
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, conf->cert) != 1) {
        return bad_file(pool, "tls-cert", conf->cert,
                        "it has to be a file of certificates in PEM, our own first");
    }
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_pass_phrase);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 &&
        ERR_GET_LIB(ERR_peek_error()) != ERR_LIB_X509) {
        return bad_file(
            pool, conf->key != NULL ? "tls-key" : "tls-cert", key,
            conf->key != NULL
                ? "it has to be a file with a private key in PEM, without a pass phrase"
                : "where no tls-key= is written it has to hold the private key too, in PEM, without a "
                  "pass phrase");
    }
    if (SSL_CTX_check_private_key(ctx) != 1) {
        return apr_psprintf(
            pool,
            "the key in %s does not belong to the certificate in tls-cert=%s; tls-key= has to name "
            "the file with the key that does",
            key, conf->cert);
    }
    return NULL;
}

/* What OpenSSL says about a chain of certificates. It has no other place for the names in one that is
 * refused. */
static void note_names(abl_tls_conn_t *conn, X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    size_t len = 0;
    int i;

    conn->names[0] = '\0';
    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[INET6_ADDRSTRLEN];
        const unsigned char *bytes;
        size_t n;
        if (name->type == GEN_DNS) {
            bytes = ASN1_STRING_get0_data(name->d.dNSName);
            n = (size_t)ASN1_STRING_length(name->d.dNSName);
        } else if (name->type == GEN_IPADD) {
            int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
            if (family == AF_INET6 && ASN1_STRING_length(name->d.iPAddress) != 16) {
                continue;
            }
            (void)inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof(text));
            bytes = (const unsigned char *)text;
            n = strlen(text);
        } else {
            continue;
        }
        if (len + n + 8 > sizeof(conn->names)) {
            memcpy(conn->names + len, " ...", 5);
            break;
        }
        len += (size_t)sprintf(conn->names + len, "%s%.*s", len > 0 ? ", " : "", (int)n, (const char *)bytes);
    }
    GENERAL_NAMES_free(names);
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    int error = X509_STORE_CTX_get_error(store);

    if (!ok && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)) {
        note_names(SSL_get_app_data(ssl), X509_STORE_CTX_get0_cert(store));
    }
    return ok;
}

static const char *set_verification(apr_pool_t *pool, const abl_tls_conf_t *conf, abl_tls_t *tls)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->ctx);
    int ok;

    if (conf->unverified) {
        SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_NONE, NULL);
        return NULL;
    }
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, on_verify);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ok = tls->is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, tls->name)
                         : X509_VERIFY_PARAM_set1_host(param, tls->name, 0);
    if (ok != 1) {
        return apr_psprintf(pool, "the name \"%s\" cannot be looked for in a certificate", conf->name);
    }
    ERR_clear_error();
    if (conf->ca != NULL && SSL_CTX_load_verify_locations(tls->ctx, conf->ca, NULL) != 1) {
        return bad_file(pool, "tls-ca", conf->ca, "it has to be a file of certificates in PEM");
    }
    if (conf->ca == NULL && SSL_CTX_set_default_verify_paths(tls->ctx) != 1) {
        return "the system's certificates cannot be used; tls-ca= has to name a file of certificates in PEM";
    }
    return NULL;
}

static const char *set_up(apr_pool_t *pool, const abl_tls_conf_t *conf, abl_tls_t *tls)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *ctx = tls->ctx;
    const char *why;

    SSL_CTX_set_min_proto_version(ctx, conf->minimum == ABL_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    (void)SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    why = set_verification(pool, conf, tls);
    return why != NULL ? why : use_certificate(pool, conf, ctx);
}

/* Certificates do not know the dot that ends an absolute name, nor does SNI. */
static char *plain_name(const char *name)
{
    char *copy = strdup(name);
    size_t len = copy != NULL ? strlen(copy) : 0;

    if (len > 1 && copy[len - 1] == '.') {
        copy[len - 1] = '\0';
    }
    return copy;
}

static bool is_address(const char *name)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

const char *abl_tls_make(apr_pool_t *pool, const abl_tls_conf_t *conf, abl_tls_t **tls)
{
    abl_tls_t *made = calloc(1, sizeof(*made));
    const char *why;

    *tls = NULL;
    if (made == NULL) {
        return "there is no memory left";
    }
    /* What OpenSSL would tear down at exit, a thread may still be using. */
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL);
    atomic_init(&made->users, 1);
    made->maker = getpid();
    pthread_mutex_init(&made->lock, NULL);
    made->name = plain_name(conf->name);
    made->is_address = is_address(conf->name);
    made->ctx = SSL_CTX_new(TLS_client_method());
    made->method = make_method();
    if (made->name == NULL || made->ctx == NULL || made->method == NULL) {
        why = "OpenSSL cannot be set up";
    } else {
        why = set_up(pool, conf, made);
    }
    ERR_clear_error();
    if (why != NULL) {
        leave(made);
        return why;
    }
    apr_pool_cleanup_register(pool, made, leave_configuration, apr_pool_cleanup_null);
    *tls = made;
    return NULL;
}

/* ---- a connection ----------------------------------------------------------------------------------- */

static bool set_socket(abl_tls_conn_t *conn)
{
    BIO *bio = BIO_new(conn->tls->method);

    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, conn);
    SSL_set_bio(conn->ssl, bio, bio);
    return true;
}

abl_tls_conn_t *abl_tls_open(abl_tls_t *tls, int fd)
{
    abl_tls_conn_t *conn = calloc(1, sizeof(*conn));
    SSL_SESSION *session;

    ERR_clear_error();
    if (conn == NULL) {
        return NULL;
    }
    conn->fd = fd;
    conn->tls = tls;
    conn->ssl = SSL_new(tls->ctx);
    if (conn->ssl == NULL || !set_socket(conn)) {
        SSL_free(conn->ssl);
        free(conn);
        return NULL;
    }
    atomic_fetch_add(&tls->users, 1);
    SSL_set_app_data(conn->ssl, conn);
    SSL_set_connect_state(conn->ssl);
    if (!tls->is_address) {
        (void)SSL_set_tlsext_host_name(conn->ssl, tls->name);
    }
    session = take_session(tls);
    if (session != NULL) {
        (void)SSL_set_session(conn->ssl, session);
        SSL_SESSION_free(session);
    }
    return conn;
}

void abl_tls_end_writing(abl_tls_conn_t *conn)
{
    ERR_clear_error();
    if (conn->ready && (conn->over == APR_SUCCESS || conn->over == APR_EOF)) {
        (void)SSL_shutdown(conn->ssl);
    }
}

void abl_tls_close(abl_tls_conn_t *conn)
{
    abl_tls_t *tls = conn->tls;

    abl_tls_end_writing(conn);
    SSL_free(conn->ssl);
    ERR_clear_error();
    free(conn);
    leave(tls);
}

/* ---- what went wrong -------------------------------------------------------------------------------- */

static void say(abl_tls_conn_t *conn, const char *text)
{
    apr_cpystrn(conn->why, text, sizeof(conn->why));
}

static void explain_name(abl_tls_conn_t *conn)
{
    if (conn->names[0] == '\0') {
        apr_snprintf(conn->why, sizeof(conn->why), "its certificate has no name that could be %s (tls-name=)",
                     conn->tls->name);
    } else {
        apr_snprintf(conn->why, sizeof(conn->why), "its certificate is for %s and not for %s (tls-name=)",
                     conn->names, conn->tls->name);
    }
}

static void explain_certificate(abl_tls_conn_t *conn)
{
    long result = SSL_get_verify_result(conn->ssl);

    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        say(conn, "its certificate, or one that signs it, has expired");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say(conn, "its certificate, or one that signs it, is not valid yet");
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        say(conn, "its certificate is self-signed and not among those that are believed (tls-ca=)");
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        say(conn, "its certificate is signed by an unknown CA, one that is not among those that are believed "
                  "(tls-ca=)");
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        explain_name(conn);
        break;
    default:
        apr_snprintf(conn->why, sizeof(conn->why), "its certificate is refused: %s",
                     X509_verify_cert_error_string(result));
        break;
    }
}

static bool is_no_tls(int reason)
{
    return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
           reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_WRONG_SSL_VERSION;
}

static void explain_cut(abl_tls_conn_t *conn)
{
    say(conn, conn->ready
                  ? "the connection ended without TLS's goodbye (close_notify), so something may be missing"
                  : "the connection was closed during the handshake");
}

static void explain(abl_tls_conn_t *conn)
{
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);

    if (conn->eof) {
        explain_cut(conn);
    } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        explain_certificate(conn);
    } else if (reason > FIRST_ALERT) {
        apr_snprintf(conn->why, sizeof(conn->why), "it refuses us: %s",
                     text != NULL ? text : "an unknown alert");
    } else if (!conn->ready && is_no_tls(reason)) {
        apr_snprintf(conn->why, sizeof(conn->why), "what it says is no TLS (%s); does it speak http://?",
                     text != NULL ? text : "unknown bytes");
    } else if (!conn->ready && reason == SSL_R_UNSUPPORTED_PROTOCOL) {
        say(conn, "its version of TLS is older than the least that is spoken here (tls-protocols=)");
    } else {
        apr_snprintf(conn->why, sizeof(conn->why), "TLS failed: %s",
                     text != NULL ? text : "no reason is known");
    }
}

/* What a call of OpenSSL's that did not succeed means. */
static apr_status_t outcome_of(abl_tls_conn_t *conn, int rc)
{
    switch (SSL_get_error(conn->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        conn->wants_write = false;
        return APR_EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        conn->wants_write = true;
        return APR_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        conn->over = APR_EOF;
        return APR_EOF;
    case SSL_ERROR_SYSCALL:
        if (!conn->eof && conn->error != 0) { /* errno's reason is all there is to say */
            conn->over = conn->error;
            return conn->over;
        }
        break;
    default:
        break;
    }
    explain(conn);
    conn->over = conn->eof ? ABL_TLS_CUT : EPROTO;
    ERR_clear_error();
    return conn->over;
}

const char *abl_tls_why(const abl_tls_conn_t *conn)
{
    return conn->why[0] != '\0' ? conn->why : NULL;
}

bool abl_tls_wants_write(const abl_tls_conn_t *conn)
{
    return conn->wants_write;
}

/* ---- bytes ------------------------------------------------------------------------------------------ */

apr_status_t abl_tls_handshake(abl_tls_conn_t *conn)
{
    int rc;

    if (conn->ready || conn->over != APR_SUCCESS) {
        return conn->over;
    }
    ERR_clear_error();
    rc = SSL_do_handshake(conn->ssl);
    if (rc != 1) {
        return outcome_of(conn, rc);
    }
    conn->ready = true;
    if (SSL_session_reused(conn->ssl) && SSL_version(conn->ssl) < TLS1_3_VERSION) {
        keep_session(conn->tls, SSL_get1_session(conn->ssl)); /* no new one comes */
    }
    return APR_SUCCESS;
}

/* The next record's bytes: in place where one vector has enough, else put together in `room`. They depend on
 * nothing but what is left to send, so that a record which is tried again is the same. */
static const char *next_record(const struct iovec *iov, int n, size_t offset, char *room, size_t *len)
{
    int i = 0;

    while (i < n && offset >= iov[i].iov_len) {
        offset -= iov[i++].iov_len;
    }
    *len = 0;
    if (i < n && (i == n - 1 || iov[i].iov_len - offset >= RECORD_MAX)) {
        *len = iov[i].iov_len - offset < RECORD_MAX ? iov[i].iov_len - offset : RECORD_MAX;
        return (const char *)iov[i].iov_base + offset;
    }
    for (; i < n && *len < RECORD_MAX; i++, offset = 0) {
        size_t part = iov[i].iov_len - offset;
        part = part < RECORD_MAX - *len ? part : RECORD_MAX - *len;
        memcpy(room + *len, (const char *)iov[i].iov_base + offset, part);
        *len += part;
    }
    return room;
}

apr_status_t abl_tls_write(abl_tls_conn_t *conn, const struct iovec *iov, int n, size_t *sent)
{
    char room[RECORD_MAX];

    *sent = 0;
    for (;;) {
        size_t len, taken = 0;
        const char *bytes = next_record(iov, n, *sent, room, &len);
        int rc;

        if (len == 0) {
            return APR_SUCCESS;
        }
        if (conn->over != APR_SUCCESS && conn->over != APR_EOF) {
            return *sent > 0 ? APR_SUCCESS : conn->over;
        }
        ERR_clear_error();
        rc = SSL_write_ex(conn->ssl, bytes, len, &taken);
        if (rc != 1) {
            apr_status_t before = conn->over, rv = outcome_of(conn, rc);
            if (conn->why[0] == '\0') {
                conn->over =
                    before; /* the socket takes no more; what the member has said can still be read */
            }
            return *sent > 0 ? APR_SUCCESS : rv;
        }
        *sent += taken;
    }
}

apr_status_t abl_tls_read(abl_tls_conn_t *conn, char *to, size_t room, size_t *got, bool *more)
{
    apr_status_t rv = conn->over;

    *got = 0;
    conn->wants_write = false;
    while (rv == APR_SUCCESS && *got < room) {
        size_t n = 0;
        int rc;
        ERR_clear_error();
        rc = SSL_read_ex(conn->ssl, to + *got, room - *got, &n);
        *got += n;
        if (rc != 1) {
            rv = outcome_of(conn, rc);
        } else if (conn->emptied && !SSL_has_pending(conn->ssl)) {
            rv = APR_EAGAIN;
        }
    }
    /* What ended it is told the next time. */
    *more = *got > 0 && !APR_STATUS_IS_EAGAIN(rv);
    return *got > 0 ? APR_SUCCESS : rv;
}

bool abl_tls_pending(const abl_tls_conn_t *conn)
{
    return SSL_has_pending(conn->ssl) == 1;
}

bool abl_tls_fit(abl_tls_conn_t *conn)
{
    size_t n = 0;
    char byte;
    int rc;

    if (conn->over != APR_SUCCESS) {
        return false;
    }
    ERR_clear_error();
    rc = SSL_peek_ex(conn->ssl, &byte, 1, &n);
    return rc != 1 && APR_STATUS_IS_EAGAIN(outcome_of(conn, rc)) && !conn->wants_write;
}
