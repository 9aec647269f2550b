/* SPDX-License-Identifier: Apache-2.0
 *
 * Processes made for real: what they have, what they do not have, and what is said when it does not work.
 */
#include <arpa/inet.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "child.h"

static child_app_t app;

static const char *const sleeper[] = {"sleep", "1000", NULL};

/* ---- what it has ------------------------------------------------------------------------------------ */

START_TEST(the_command)
{
    const char *argv[] = {"printf", "%%s|", "%{port}",   "a%%b%{port}c%{port}", "%{port}", "%%{port}",
                          "%{x}",   "%",    "%%%{port}", "%{socket}",           "",        NULL};
    const char *other[] = {"printf", "%%s|", "--unix=%{socket}", "%{port}", NULL};
    child_t child;

    child_app(&app);
    child = child_start(&app, argv, -1);
    ck_assert_str_eq(child_said(&child), "39999|a%b39999c39999|39999|%{port}|%{x}|%|%39999|%{socket}||");
    child_app_socket(&app, "/run/a b%{port}.sock");
    child = child_start(&app, other, -1);
    ck_assert_str_eq(child_said(&child), "--unix=/run/a b%{port}.sock|%{port}|");
    child_app_end(&app);
}
END_TEST

static void expect_env(const char *said, int n, const char *const *expected)
{
    char line[512];

    for (int i = 0; i < n; i++) {
        (void)snprintf(line, sizeof(line), "%s\n", expected[i]);
        ck_assert_msg(strstr(said, line) != NULL, "%s is not in %s", expected[i], said);
    }
    for (; *said != '\0'; said++) {
        n -= *said == '\n';
    }
    ck_assert_int_eq(n, 0);
}

START_TEST(the_environment)
{
    static const char *const argv[] = {"env", NULL};
    static const char *const own[] = {
        "LANG=de_DE.UTF-8", "EMPTY=", "PATH=/bin:/usr/bin", "LANGUAGE=de", ABL_INSTANCE_MARK "=forged", NULL};
    const struct passwd *user = getpwuid(geteuid());
    char home[128], name[128], logname[128];
    child_t child;

    if (user == NULL) {
        return; /* a number without a name: see as_another_user */
    }
    child_app(&app);
    (void)snprintf(home, sizeof(home), "HOME=%s", user->pw_dir);
    (void)snprintf(name, sizeof(name), "USER=%s", user->pw_name);
    (void)snprintf(logname, sizeof(logname), "LOGNAME=%s", user->pw_name);
    setenv("SECRET", "of httpd", 1);
    child = child_start(&app, argv, -1);
    expect_env(child_said(&child), 6,
               (const char *[]){"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", home, name, logname,
                                ABL_INSTANCE_MARK "=unit"});
    app.conf.env = own;
    child = child_start(&app, argv, -1);
    expect_env(child_said(&child), 8,
               (const char *[]){"PATH=/bin:/usr/bin", "LANG=de_DE.UTF-8", "LANGUAGE=de", "EMPTY=", home, name,
                                logname, ABL_INSTANCE_MARK "=unit"});
    child_app_end(&app);
}
END_TEST

START_TEST(its_folder_and_its_programs)
{
    static const char *const relative[] = {"./there", NULL};
    static const char *const searched[] = {"there", NULL};
    static const char *const paths[] = {"PATH=/nowhere:/dev/null:::/usr/bin:/bin", "PATH=/usr/bin:/bin:.",
                                        "PATH="};
    child_t child;

    child_app(&app);
    child_write_file(&app, "there", "#!/bin/sh\nexec /bin/pwd\n", 0755);
    child = child_start(&app, relative, -1);
    ck_assert(strncmp(child_said(&child), app.dir, strlen(app.dir)) == 0);
    for (size_t i = 0; i < COUNT(paths); i++) {
        const char *env[] = {paths[i], NULL};
        app.conf.env = env;
        child = child_start(&app, searched, -1);
        ck_assert(strncmp(child_said(&child), app.dir, strlen(app.dir)) == 0);
    }
    child_app_end(&app);
}
END_TEST

START_TEST(a_session_of_its_own)
{
    child_t child;

    child_app(&app);
    child = child_start(&app, sleeper, -1);
    ck_assert_int_eq(getsid(child.pid), child.pid);
    ck_assert_int_eq(getpgid(child.pid), child.pid);
    child_kill(&child);
    child_app_end(&app);
}
END_TEST

/* Signals 32 and 33 belong to the C library: whatever posix_spawn() begins, such as what make runs, ignores
 * them, and sigaction() does not let anybody change that. */
#define LIBCS_OWN 0x180000000ULL

START_TEST(all_signals_are_as_at_birth)
{
    static const char *const argv[] = {"sed", "-n", "/^Sig[BIC]/p", "/proc/self/status", NULL};
    unsigned long long blocked, ignored, caught;
    sigset_t some, after;
    child_t child;

    child_app(&app);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGRTMIN + 3, SIG_IGN);
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_SETMASK, &some, NULL);
    child = child_start(&app, argv, -1);
    ck_assert_int_eq(
        sscanf(child_said(&child), "SigBlk: %llx SigIgn: %llx SigCgt: %llx", &blocked, &ignored, &caught), 3);
    ck_assert_uint_eq(blocked | (ignored & ~LIBCS_OWN) | caught, 0);
    sigprocmask(SIG_SETMASK, NULL, &after); /* and here they are as they were */
    ck_assert(sigismember(&after, SIGTERM) && sigismember(&after, SIGUSR2) && !sigismember(&after, SIGHUP));
    child_app_end(&app);
}
END_TEST

START_TEST(umask_nice_limits)
{
    static const char script[] = "umask; nice; ulimit -n; ulimit -Hn; ulimit -c";
    char before[32], expected[128];
    mode_t mask;
    child_t child;

    child_app(&app);
    mask = umask(0);
    umask(mask);
    (void)snprintf(before, sizeof(before), "%04o\n%d\n", mask, getpriority(PRIO_PROCESS, 0));
    child = child_shell(&app, script);
    ck_assert(strncmp(child_said(&child), before, strlen(before)) == 0);
    app.conf.umask = 027;
    app.conf.nice = 3;
    app.conf.limits[0] = (abl_app_limit_t){RLIMIT_NOFILE, 77};
    app.conf.limits[1] = (abl_app_limit_t){RLIMIT_CORE, 0};
    app.conf.nlimits = 2;
    child = child_shell(&app, script);
    (void)snprintf(expected, sizeof(expected), "0027\n%d\n77\n77\n0\n", getpriority(PRIO_PROCESS, 0) + 3);
    ck_assert_str_eq(child_said(&child), expected);
    child_app_end(&app);
}
END_TEST

/* ---- descriptors ------------------------------------------------------------------------------------ */

/* Where a descriptor of its leads; false: it has none such. */
static bool leads(pid_t pid, int fd, char to[128])
{
    char name[64];
    ssize_t len;

    (void)snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)pid, fd);
    len = readlink(name, to, 127);
    to[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static int count_descriptors(pid_t pid)
{
    char name[64];
    DIR *dir;
    int n = 0;

    (void)snprintf(name, sizeof(name), "/proc/%d/fd", (int)pid);
    dir = opendir(name);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n - 2;
}

/* A program that begins has its libraries open for a moment. */
typedef struct descriptors_t {
    pid_t pid;
    int n;
} descriptors_t;

static bool are_so_many(void *data)
{
    const descriptors_t *expected = data;

    return count_descriptors(expected->pid) == expected->n;
}

static void expect_descriptors(const child_t *child, int listener)
{
    char in[128], out[128], err[128], ours[128], third[128];

    ck_assert(leads(child->pid, 0, in) && leads(child->pid, 1, out) && leads(child->pid, 2, err));
    ck_assert(leads(getpid(), child->out, ours));
    ck_assert_str_eq(in, "/dev/null");
    ck_assert_str_eq(out, ours);
    ck_assert_str_eq(err, ours);
    if (listener >= 0) {
        ck_assert(leads(getpid(), listener, ours) && leads(child->pid, 3, third));
        ck_assert_str_eq(third, ours);
    }
    ck_assert(await_that(are_so_many, &(descriptors_t){child->pid, listener >= 0 ? 4 : 3}, CHILD_PATIENCE));
}

static void spawn_with_many_open(int listener)
{
    child_t child = child_start(&app, sleeper, -1);

    expect_descriptors(&child, -1);
    child_kill(&child);
    child = child_start(&app, sleeper, listener);
    expect_descriptors(&child, listener);
    child_kill(&child);
}

/* The kernel does not have this call. */
static void forbid(int call)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(code), code};

    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

START_TEST(nothing_of_httpds_is_open)
{
    int listener, before, i;

    child_app(&app);
    app.port = 0;
    listener = abl_place_listen(&app.conf, 0);
    ck_assert_int_ge(listener, 0);
    for (i = 0; i < 300; i++) { /* not closed by exec; more than one read of the folder gives */
        ck_assert_int_ge(dup(listener), 0);
    }
    ck_assert_int_eq(dup2(listener, 1000), 1000);
    before = count_descriptors(getpid());
    spawn_with_many_open(listener);
    ck_assert_int_eq(count_descriptors(getpid()), before);
#ifdef SYS_close_range
    forbid(SYS_close_range);
    ck_assert_int_eq(syscall(SYS_close_range, 5000, 5000, 0), -1);
    spawn_with_many_open(listener);
#endif
    child_app_end(&app);
}
END_TEST

/* Then the pipes that are needed in between get the numbers 0 to 3. */
START_TEST(httpd_has_no_input_or_output)
{
    int saved[3], listener, i;
    child_t child;

    child_app(&app);
    app.port = 0;
    for (i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
        close(i);
    }
    listener = abl_place_listen(&app.conf, 0);
    ck_assert_int_eq(listener, 0);
    child = child_start(&app, sleeper, listener);
    expect_descriptors(&child, listener);
    child_kill(&child);
    close(listener);
    child = child_start(&app, sleeper, -1);
    expect_descriptors(&child, -1);
    child_kill(&child);
    for (i = 0; i < 3; i++) {
        (void)dup2(saved[i], i);
    }
    child_app_end(&app);
}
END_TEST

START_TEST(a_socket_is_passed_on)
{
    static const char *const argv[] = {"sh", "-c",
                                       "echo $LISTEN_FDS $SERVER_STARTER_PORT; test $LISTEN_PID = $$", NULL};
    static const char *const env[] = {"LISTEN_PID=1", NULL};
    char path[128], expected[192];
    int listener;
    child_t child;

    child_app(&app);
    app.conf.env = env;
    listener = open("/dev/null", O_RDONLY | O_CLOEXEC); /* which it is does not matter here */
    child = child_start(&app, argv, listener);
    ck_assert_str_eq(child_said(&child), "1 127.0.0.1:39999=3\n");
    (void)snprintf(path, sizeof(path), "%s/s", app.dir);
    child_app_socket(&app, path);
    child = child_start(&app, argv, listener);
    (void)snprintf(expected, sizeof(expected), "1 %s=3\n", path);
    ck_assert_str_eq(child_said(&child), expected);
    close(listener);
    child_app_end(&app);
}
END_TEST

/* ---- as another user -------------------------------------------------------------------------------- */

START_TEST(as_another_user)
{
    static const char script[] = "id -u; id -g; id -G; echo $USER $HOME $LOGNAME; echo by name >/dev/stdout";
    const struct passwd *user = getpwnam("www-data");
    char expected[512];
    child_t child;

    if (geteuid() != 0 || user == NULL) {
        return;
    }
    child_app(&app);
    ck_assert_int_eq(chmod(app.dir, 0755), 0);
    ck_assert_int_eq(setgroups(2, (gid_t[]){4, 5}), 0); /* not to be inherited */
    app.conf.user = "www-data";
    app.conf.uid = user->pw_uid;
    app.conf.gid = user->pw_gid;
    child = child_shell(&app, script);
    (void)snprintf(expected, sizeof(expected), "%d\n%d\n%d\nwww-data %s www-data\nby name\n",
                   (int)user->pw_uid, (int)user->pw_gid, (int)user->pw_gid, user->pw_dir);
    ck_assert_str_eq(child_said(&child), expected);
    app.conf.user = NULL; /* a number without a name */
    app.conf.uid = 54321;
    app.conf.gid = 54322;
    child = child_shell(&app, script);
    ck_assert_str_eq(child_said(&child), "54321\n54322\n54322\n\nby name\n");
    child_app_end(&app);
}
END_TEST

START_TEST(what_the_user_may_not)
{
    static const char *const argv[] = {"./app", NULL};
    char expected[ABL_SPAWN_WHY_MAX];
    child_t child;

    if (geteuid() != 0) {
        return;
    }
    child_app(&app);
    child_write_file(&app, "app", "#!/bin/sh\n", 0700);
    app.conf.uid = app.conf.gid = 54321;
    child = child_try(&app, argv, -1, "unit"); /* the folder is 0700 */
    ck_assert_int_eq(child.pid, -1);
    ck_assert_int_eq(child.rv, EACCES);
    (void)snprintf(expected, sizeof(expected),
                   "cannot change to the folder %s as the user 54321: Permission denied", app.dir);
    ck_assert_str_eq(child.why, expected);
    close(child.out);
    ck_assert_int_eq(chmod(app.dir, 0755), 0);
    child = child_try(&app, argv, -1, "unit");
    ck_assert_int_eq(child.pid, -1);
    ck_assert_str_eq(child.why, "the program ./app: the user 54321 may not execute it: Permission denied");
    close(child.out);
    child_app_end(&app);
}
END_TEST

/* ---- what does not work ----------------------------------------------------------------------------- */

static void expect_failure(const char *const *argv, int error, const char *why)
{
    int before = count_descriptors(getpid());
    child_t child = child_try(&app, argv, -1, "unit");

    ck_assert_str_eq(child.why, why);
    ck_assert_int_eq(child.pid, -1);
    ck_assert_int_eq(child.rv, error);
    close(child.out);
    ck_assert_int_eq(count_descriptors(getpid()), before);
    ck_assert_int_eq(waitpid(-1, NULL, 0), -1); /* and nobody is left */
    ck_assert_int_eq(errno, ECHILD);
}

static void expect_no_program(const char *program, int error, const char *why)
{
    const char *argv[] = {program, NULL};

    expect_failure(argv, error, why);
}

START_TEST(no_such_program)
{
    char why[ABL_SPAWN_WHY_MAX], long_name[400];

    child_app(&app);
    child_write_file(&app, "lost", "#!/nowhere/perl\n", 0755);
    child_write_file(&app, "plain", "echo hello\n", 0755);
    expect_no_program("perlfection", ENOENT,
                      "the program perlfection: not found in PATH=/usr/local/bin:/usr/bin:/bin");
    (void)snprintf(why, sizeof(why), "the program script/app.pl: not found in %s", app.dir);
    expect_no_program("script/app.pl", ENOENT, why);
    expect_no_program("./lost", ENOENT,
                      "the program ./lost: what its first line says executes it was not found");
    expect_no_program("./plain", ENOEXEC,
                      "the program ./plain: neither a program nor a script with #! in its first line");
    expect_no_program("plain/x", ENOTDIR, "the program plain/x: Not a directory");
    memset(long_name, 'x', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    {
        const char *argv[] = {long_name, NULL};
        child_t child = child_try(&app, argv, -1, "unit");
        ck_assert_int_eq(child.pid, -1);
        ck_assert_int_eq(child.rv, ENAMETOOLONG);
        close(child.out);
    }
    child_app_end(&app);
}
END_TEST

START_TEST(no_such_folder)
{
    child_app(&app);
    app.conf.dir = "/nowhere/at/all";
    expect_failure(sleeper, ENOENT, "cannot change to the folder /nowhere/at/all: No such file or directory");
    app.conf.dir = "/dev/null";
    expect_failure(sleeper, ENOTDIR, "cannot change to the folder /dev/null: Not a directory");
    child_app_end(&app);
}
END_TEST

START_TEST(a_limit_that_cannot_be)
{
    char why[ABL_SPAWN_WHY_MAX];

    child_app(&app);
    app.conf.limits[0] = (abl_app_limit_t){RLIMIT_CORE, 0};
    app.conf.limits[1] = (abl_app_limit_t){RLIMIT_NOFILE, 1ULL << 40}; /* not even root */
    app.conf.nlimits = 2;
    (void)snprintf(why, sizeof(why), "cannot set limit:nofile=%llu: Operation not permitted", 1ULL << 40);
    expect_failure(sleeper, EPERM, why);
    child_app_end(&app);
}
END_TEST

/* ---- with other threads ----------------------------------------------------------------------------- */

static volatile bool enough;

static void *use_memory(void *data)
{
    while (!enough) {
        char *text = NULL;
        size_t len = 0;
        FILE *stream = open_memstream(&text, &len);
        (void)fprintf(stream, "%p", data);
        (void)fclose(stream);
        free(text);
    }
    return NULL;
}

START_TEST(other_threads_are_in_the_middle_of_something)
{
    static const char *const argv[] = {"true", NULL};
    pthread_t threads[4];

    child_app(&app);
    for (size_t i = 0; i < COUNT(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_memory, NULL), 0);
    }
    for (int i = 0; i < 50; i++) {
        child_t child = child_start(&app, argv, -1);
        ck_assert_str_eq(child_said(&child), "");
    }
    enough = true;
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    child_app_end(&app);
}
END_TEST

/* ---- what it writes --------------------------------------------------------------------------------- */

START_TEST(nobody_reads_any_more)
{
    char text[32];
    child_t child;

    child_app(&app);
    child =
        child_shell(&app, "echo one; while test ! -e gone; do sleep 0.01; done; echo two; echo three >&2; "
                          "touch written; while test ! -e go; do sleep 0.01; done; echo four; exit 0");
    ck_assert_uint_eq(child_read(child.out, text, 4), 4);
    close(child.out);
    child_write_file(&app, "gone", "", 0644);
    child_await_file(&app, "written"); /* it has not died of that */
    child.out = abl_pipe_reopen(child.pid);
    ck_assert_int_ge(child.out, 0);
    ck_assert_uint_eq(child_read(child.out, text, 10), 10); /* nothing is lost meanwhile */
    ck_assert(memcmp(text, "two\nthree\n", 10) == 0);
    ck_assert_int_eq(read(child.out, text, 1), -1);
    ck_assert_int_eq(errno, EAGAIN);
    child_write_file(&app, "go", "", 0644);
    ck_assert_str_eq(child_said(&child), "four\n");
    child_app_end(&app);
}
END_TEST

/* It waits in the kernel until somebody reads; who that is does not matter. */
static bool is_asleep(void *data)
{
    const child_t *child = data;
    char name[64], text[512], *end;
    ssize_t len;
    int fd;

    (void)snprintf(name, sizeof(name), "/proc/%d/stat", (int)child->pid);
    fd = open(name, O_RDONLY | O_CLOEXEC);
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    end = strrchr(text, ')');
    return end != NULL && end[2] == 'S';
}

START_TEST(a_full_pipe_stops_nobody_else)
{
    static const char *const argv[] = {"head", "-c", "300000", "/dev/zero", NULL};
    static char text[300001];
    child_t child;

    child_app(&app);
    child = child_start(&app, argv, -1);
    ck_assert(await_that(is_asleep, &child, CHILD_PATIENCE));
    close(child.out);
    ck_assert(is_asleep(&child));
    child.out = abl_pipe_reopen(child.pid);
    ck_assert_int_ge(child.out, 0);
    ck_assert_uint_eq(child_read(child.out, text, sizeof(text)), 300000);
    close(child.out);
    ck_assert_int_eq(child_wait(&child), 0);
    child_app_end(&app);
}
END_TEST

START_TEST(only_our_own_pipe_is_read)
{
    char ours[128], reopened[128];
    child_t child;
    int fd;

    child_app(&app);
    child = child_shell(&app, "exec >log; touch ready; exec sleep 1000"); /* 2 is ours */
    child_await_file(&app, "ready");
    fd = abl_pipe_reopen(child.pid);
    ck_assert_int_ge(fd, 0);
    ck_assert(leads(getpid(), fd, reopened) && leads(getpid(), child.out, ours));
    ck_assert_str_eq(reopened, ours);
    ck_assert_int_eq(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    child_kill(&child);
    ck_assert_int_eq(abl_pipe_reopen(child.pid), -1);
    ck_assert_int_eq(errno, ENOENT);
    child = child_shell(
        &app,
        "mkfifo named; { cat <named >log2 & } ; exec >named 2>&1; touch steady; cat /dev/zero | sleep 1000");
    child_await_file(&app, "steady");
    ck_assert_int_eq(abl_pipe_reopen(child.pid), -1);
    ck_assert_int_eq(errno, ENXIO);
    ck_assert_int_eq(kill(-child.pid, SIGKILL), 0);
    (void)child_wait(&child);
    close(child.out);
    child_app_end(&app);
}
END_TEST

/* ---- where it listens ------------------------------------------------------------------------------- */

static int stranger(uint32_t address, int *port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    socklen_t len = sizeof(sin);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sin, len), 0);
    ck_assert_int_eq(listen(fd, 5), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

static int visit(int port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    return fd;
}

START_TEST(a_port)
{
    static const uint32_t addresses[] = {INADDR_LOOPBACK, INADDR_ANY};
    int fd, client, served;
    char byte;

    child_app(&app);
    for (size_t i = 0; i < COUNT(addresses); i++) {
        fd = stranger(addresses[i], &app.port);
        ck_assert(!abl_place_is_free(&app.conf, 0));
        ck_assert_int_eq(errno, EADDRINUSE);
        ck_assert_int_eq(abl_place_listen(&app.conf, 0), -1);
        ck_assert_int_eq(errno, EADDRINUSE);
        client = visit(app.port);
        served = accept(fd, NULL, NULL);
        close(served); /* first: TIME_WAIT is on this side */
        ck_assert_int_eq(read(client, &byte, 1), 0);
        close(client);
        close(fd);
        ck_assert(abl_place_is_free(&app.conf, 0));
        ck_assert(abl_place_is_free(&app.conf, 0));
    }
    fd = abl_place_listen(&app.conf, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ck_assert(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
    ck_assert(!abl_place_is_free(&app.conf, 0));
    close(visit(app.port));
    close(fd);
    child_app_end(&app);
}
END_TEST

START_TEST(a_socket)
{
    char path[128];
    struct stat st;
    mode_t mask = umask(0);
    int fd;

    child_app(&app);
    (void)snprintf(path, sizeof(path), "%s/socket", app.dir);
    child_app_socket(&app, path);
    if (geteuid() == 0) {
        app.conf.client = 54321;
        app.conf.gid = 54322;
    }
    ck_assert(abl_place_is_free(&app.conf, 0));
    fd = abl_place_listen(&app.conf, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(st.st_uid, geteuid() == 0 ? app.conf.client : app.conf.uid);
    ck_assert_uint_eq(st.st_gid, app.conf.gid);
    ck_assert(!abl_place_is_free(&app.conf, 0)); /* somebody accepts */
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(abl_place_listen(&app.conf, 0), -1);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_int_eq(access(path, F_OK), 0);
    close(fd);
    fd = abl_place_listen(&app.conf, 0); /* it was left there */
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert(abl_place_is_free(&app.conf, 0));
    ck_assert_int_eq(access(path, F_OK), -1);
    umask(mask);
    child_app_end(&app);
}
END_TEST

START_TEST(a_socket_whose_queue_is_full)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd, one, two;

    child_app(&app);
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/socket", app.dir);
    child_app_socket(&app, sun.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(connect(one, (struct sockaddr *)&sun, sizeof(sun)), 0);
    two = abl_place_is_free(&app.conf, 0);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert(!two);
    close(one);
    close(fd);
    child_app_end(&app);
}
END_TEST

START_TEST(what_is_no_socket_is_left_alone)
{
    char path[128], target[128], too_long[200];

    child_app(&app);
    child_write_file(&app, "file", "precious", 0644);
    (void)snprintf(path, sizeof(path), "%s/file", app.dir);
    child_app_socket(&app, path);
    ck_assert(!abl_place_is_free(&app.conf, 0));
    ck_assert_int_eq(errno, EEXIST);
    ck_assert_int_eq(abl_place_listen(&app.conf, 0), -1);
    ck_assert_int_eq(errno, EEXIST);
    (void)snprintf(target, sizeof(target), "%s/link", app.dir);
    ck_assert_int_eq(symlink(path, target), 0);
    child_app_socket(&app, target);
    ck_assert(!abl_place_is_free(&app.conf, 0));
    ck_assert_int_eq(errno, EEXIST);
    child_app_socket(&app, app.dir);
    ck_assert_int_eq(abl_place_listen(&app.conf, 0), -1);
    ck_assert_int_eq(errno, EISDIR);
    child_app_socket(&app, "/nowhere/at/all");
    ck_assert_int_eq(abl_place_listen(&app.conf, 0), -1);
    ck_assert_int_eq(errno, ENOENT);
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    child_app_socket(&app, too_long);
    ck_assert(!abl_place_is_free(&app.conf, 0));
    ck_assert_int_eq(errno, ENAMETOOLONG);
    ck_assert_int_eq(access(path, F_OK), 0);
    child_app_end(&app);
}
END_TEST

UNIT_MAIN("spawn", the_command, the_environment, its_folder_and_its_programs, a_session_of_its_own,
          all_signals_are_as_at_birth, umask_nice_limits, nothing_of_httpds_is_open,
          httpd_has_no_input_or_output, a_socket_is_passed_on, as_another_user, what_the_user_may_not,
          no_such_program, no_such_folder, a_limit_that_cannot_be,
          other_threads_are_in_the_middle_of_something, nobody_reads_any_more, a_full_pipe_stops_nobody_else,
          only_our_own_pipe_is_read, a_port, a_socket, a_socket_whose_queue_is_full,
          what_is_no_socket_is_left_alone)
