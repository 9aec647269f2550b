/* SPDX-License-Identifier: Apache-2.0
 *
 * Where an application's program is looked for, before anything is executed. That exec finds the same is
 * shown in spawn.c.
 */
#include "child.h"
#include "control/program.h"

static child_app_t app;
static apr_pool_t *pool;

static void begin(const char *name, const char *const *env)
{
    static const char *argv[2];

    argv[0] = name;
    app.conf.argv = argv;
    app.conf.env = env;
}

static void expect_places(const char *path, int n, const char *const *places)
{
    abl_program_t program = abl_program_of(pool, &app.conf, 0);

    ck_assert_pstr_eq(program.path, path);
    for (int i = 0; i < n; i++) {
        ck_assert_pstr_eq(program.places[i], places[i]);
    }
    ck_assert_ptr_null(program.places[n]);
}

static void set_up(void)
{
    child_app(&app);
    ck_assert_int_eq(apr_pool_create(&pool, NULL), APR_SUCCESS);
}

static void tear_down(void)
{
    apr_pool_destroy(pool);
    child_app_end(&app);
}

START_TEST(its_places)
{
    static const char *const none[] = {NULL};
    static const char *const strange[] = {"PATH=/x", "XPATH=/no", "PATH=:/bin::lib/%{port}:", NULL};
    static const char *const empty[] = {"PATH=", NULL};

    set_up();
    begin("perl", none);
    expect_places("/usr/local/bin:/usr/bin:/bin", 3,
                  (const char *[]){"/usr/local/bin/perl", "/usr/bin/perl", "/bin/perl"});
    begin("perl", NULL);
    expect_places("/usr/local/bin:/usr/bin:/bin", 3,
                  (const char *[]){"/usr/local/bin/perl", "/usr/bin/perl", "/bin/perl"});
    begin("a-%{port}", strange);
    expect_places(
        ":/bin::lib/39999:", 5,
        (const char *[]){"./a-39999", "/bin/a-39999", "./a-39999", "lib/39999/a-39999", "./a-39999"});
    begin("a", empty);
    expect_places("", 1, (const char *[]){"./a"});
    begin("script/%{port}%%", none);
    expect_places(NULL, 1, (const char *[]){"script/39999%"});
    begin("", none);
    expect_places(NULL, 1, (const char *[]){""});
    tear_down();
}
END_TEST

static bool is_there(const char *name, const char *path)
{
    const char *env[] = {path, NULL};

    begin(name, env);
    abl_program_t program = abl_program_of(pool, &app.conf, 0);
    return abl_program_is_there(pool, &app.conf, &program);
}

START_TEST(what_is_there)
{
    char absolute[128];

    set_up();
    child_write_file(&app, "mine", "#!/bin/sh\n", 0755);
    child_write_file(&app, "p39999", "#!/bin/sh\n", 0755);
    child_write_file(&app, "data", "", 0644);
    (void)snprintf(absolute, sizeof(absolute), "%s/folder", app.dir);
    ck_assert_int_eq(mkdir(absolute, 0755), 0);
    ck_assert(is_there("sh", NULL) && is_there("/bin/sh", "PATH=/none"));
    ck_assert(is_there("./mine", NULL) && is_there("folder/../mine", NULL));
    ck_assert(!is_there("mine", NULL) && !is_there("mine", "PATH=/bin:folder"));
    ck_assert(is_there("mine", "PATH=/bin:") && is_there("mine", "PATH=folder/..") &&
              is_there("mine", "PATH="));
    ck_assert(is_there("p%{port}", "PATH=:/bin") && is_there("./p%{port}", NULL));
    ck_assert(!is_there("./data", NULL) && !is_there("./folder", NULL) && !is_there("", NULL));
    (void)snprintf(absolute, sizeof(absolute), "%s/mine", app.dir);
    app.conf.dir = "/";
    ck_assert(is_there(absolute, NULL));
    tear_down();
}
END_TEST

UNIT_MAIN("program", its_places, what_is_there)
