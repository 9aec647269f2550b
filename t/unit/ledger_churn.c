/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger among processes that die: ten thousand children take, wait, leave and give, and each is killed,
 * at a chosen instruction or at a random one, while the configuration changes a thousand times. Beside the
 * ledger the test keeps its own book of who is at which member, and nobody may ever be where somebody living
 * is.
 */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "ledger/layout.h"
#include "ledger_world.h"

#define CHILDREN 6
#ifdef __SANITIZE_ADDRESS__
#define KILLS 2000 /* forking takes so much longer */
#else
#define KILLS 10000
#endif
#define RELOADS 1000
#define LETTERS 6
#define QUEUED 200 /* requests of as many processes */

/* The test's own book, shared by all. */
typedef struct book_t {
    _Atomic pid_t at[LETTERS];      /* who is at the member of this letter; 0: nobody */
    _Atomic pid_t doomed[CHILDREN]; /* whoever is here is about to be killed, or is dead */
    _Atomic int trouble;            /* a line of this file; 0: none */
    pid_t who, met;                 /* had it; whom it met, 0: nobody */
    _Atomic int granted;            /* leases that came out of the queue */
} book_t;

static book_t *book;

static void note_trouble(int line, pid_t met)
{
    int none = 0;

    if (atomic_compare_exchange_strong(&book->trouble, &none, line)) { /* what follows from it says less */
        book->who = getpid();
        book->met = met;
    }
}

#define TROUBLE() note_trouble(__LINE__, 0)

/* ---- a child ---------------------------------------------------------------------------------------- */

static int my_place;
static int die_at;    /* an abl_probe_t */
static int die_after; /* so many passes */

static void die(void)
{
    atomic_store(&book->doomed[my_place], getpid());
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

static void on_probe(abl_probe_t at)
{
    if ((int)at == die_at && die_after-- <= 0) {
        die();
    }
}

static bool is_doomed(pid_t pid)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (atomic_load(&book->doomed[i]) == pid) {
            return true;
        }
    }
    return kill(pid, 0) != 0;
}

/* Somebody who is there must be dead. */
static void arrive(char letter)
{
    pid_t before = atomic_exchange(&book->at[letter - 'a'], getpid());

    if (before != 0 && !is_doomed(before)) {
        note_trouble(__LINE__, before);
    }
}

static void depart(char letter)
{
    pid_t me = getpid();

    /* Another one may be here already only if this process is being reaped while it runs: never. */
    if (!atomic_compare_exchange_strong(&book->at[letter - 'a'], &me, 0)) {
        note_trouble(__LINE__, me); /* whoever is there now */
    }
}

/* False: the ticket is gone without a member. */
static bool wait_for(abl_ledger_t *ledger, abl_ticket_t **ticket, int *member)
{
    if (rand() % 8 == 0) {
        abl_ledger_leave(ledger, ticket);
        return false;
    }
    for (;;) {
        if (!rings(*ticket, 20000)) {
            TROUBLE(); /* a wake-up was lost */
            return false;
        }
        switch (abl_ledger_collect(ledger, ticket, member)) {
        case APR_SUCCESS:
            atomic_fetch_add(&book->granted, 1);
            return true;
        case APR_EAGAIN: /* rung for again after somebody died inside */
            TROUBLE();
            return false;
        default:
            return false;
        }
    }
}

static void request(ledger_world_t *w)
{
    abl_want_t want = ANY;
    abl_ticket_t *ticket;
    int member;
    apr_status_t rv;

    want.only = rand() % 4 == 0 ? rand() % w->conf.nmembers : -1;
    want.strict = rand() % 8 == 0;
    want.client = (apr_uint64_t)(rand() % 3);
    rv = abl_ledger_take(w->ledger, &want, &member, &ticket);
    if (rv == APR_EINPROGRESS) {
        rv = wait_for(w->ledger, &ticket, &member) ? APR_SUCCESS : APR_ENOENT;
    }
    if (rv == APR_SUCCESS && (member < 0 || member >= w->conf.nmembers)) {
        TROUBLE(); /* one that this generation does not know */
    } else if (rv == APR_SUCCESS) {
        char letter = *w->members[member].address;
        arrive(letter);
        for (volatile int i = rand() % 2000; i > 0; i--) {
        }
        depart(letter);
        abl_ledger_give(w->ledger, member, NULL);
    }
}

static void *live(void *data)
{
    ledger_world_t *w = data;

    for (;;) {
        request(w);
    }
    return NULL;
}

static pid_t give_birth(ledger_world_t *w, int place, int number)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    srand((unsigned)number);
    my_place = place;
    die_at = rand() % (ABL_PROBE_AFTER + 3); /* beyond the last: only the parent kills it */
    die_after = rand() % 60;
    abl_ledger_probe = on_probe;
    if (abl_segment_join(w->segment, &w->child) != APR_SUCCESS) {
        TROUBLE();
        _exit(1);
    }
    w->ledger = abl_ledger_join(w->ledger, w->child);
    live(w);
    _exit(1);
}

/* ---- the parent ------------------------------------------------------------------------------------- */

static void reload(ledger_world_t *w, int number)
{
    static const char *const members[] = {"abcd", "abc", "abcdef", "bd", "dcba"};

    apr_pool_clear(w->pool);
    describe(w, members[number % (int)COUNT(members)], 1);
    w->conf.queue_length = number % 3 == 0 ? 2 : 1000;
    w->conf.per_client = number % 4 == 0 ? 1 : 0;
    w->members[0].status = number % 5 == 0 ? ABL_STATUS_BACKUP : ABL_STATUS_ON;
    w->members[1].status = number % 7 == 0 ? ABL_STATUS_DISABLED : ABL_STATUS_ON;
    configure(w);
}

static int descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

/* The kernel may give the number of a dead process to a new one as soon as it has been waited for. */
static void strike_out(pid_t pid)
{
    for (int i = 0; i < LETTERS; i++) {
        pid_t dead = pid;
        atomic_compare_exchange_strong(&book->at[i], &dead, 0);
    }
}

static void doom(const pid_t *children, int place)
{
    atomic_store(&book->doomed[place], children[place]);
    kill(children[place], SIGKILL);
}

/* Waits for a child that has died, and kills one when none does by itself soon enough. */
static int next_dead(const pid_t *children)
{
    for (int patience = 1 + rand() % 40;; patience--) {
        int status;
        pid_t pid = waitpid(-1, &status, patience > 0 ? WNOHANG : 0);
        if (pid > 0) {
            ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                          "child %d: status %x, trouble in line %d", pid, (unsigned)status, book->trouble);
            strike_out(pid);
            for (int i = 0; i < CHILDREN; i++) {
                if (children[i] == pid) {
                    return i;
                }
            }
        }
        if (patience == 1) {
            doom(children, rand() % CHILDREN);
        }
        if (patience > 1) {
            usleep(50);
        }
    }
}

static void no_trouble(int number)
{
    ck_assert_msg(book->trouble == 0, "death %d: line %d, by %d, who met %d", number, book->trouble,
                  (int)book->who, (int)book->met);
}

static void make_book(void)
{
    book = mmap(NULL, sizeof(*book), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(book, MAP_FAILED);
}

static void nothing_is_left(ledger_world_t *w)
{
    const abl_shared_t *shared = w->segment->shared;

    sound(w);
    for (uint32_t seat = 1; seat <= w->segment->nseats; seat++) {
        ck_assert_int_eq(w->segment->seats[seat].pid, 0);
    }
    for (uint32_t ticket = 1; ticket <= shared->tickets_used; ticket++) {
        ck_assert_uint_eq(w->segment->tickets[ticket].seat, 0);
    }
    ck_assert_uint_le(shared->tickets_used, QUEUED);
    ck_assert_uint_le(shared->rows_used, 16);
    ck_assert_uint_eq(shared->balancers_used, 1);
}

START_TEST(ten_thousand_deaths)
{
    ledger_world_t w;
    pid_t children[CHILDREN];
    int before = 0, number;

    make_book();
    make_world(&w, "abcd", 1);
    srand(1);
    before = descriptors();
    for (number = 0; number < CHILDREN; number++) {
        children[number] = give_birth(&w, number, number);
    }
    for (; number < KILLS; number++) {
        int place = next_dead(children);
        /* As often as not the other children find out by themselves, before the parent says anything. */
        if (number % 2 == 0) {
            abl_segment_reap(w.segment, children[place]);
        }
        if (number % (KILLS / RELOADS) == 0) {
            reload(&w, number / (KILLS / RELOADS));
        }
        if (number % 100 == 0) {
            sound(&w);
        }
        no_trouble(number);
        if (number % 2 != 0) {
            abl_segment_reap(w.segment,
                             children[place]); /* at the latest now, or its number could be another's */
        }
        children[place] = give_birth(&w, place, number);
    }
    for (int i = 0; i < CHILDREN; i++) {
        doom(children, i);
        waitpid(children[i], NULL, 0);
        strike_out(children[i]);
        abl_segment_reap(w.segment, children[i]);
    }
    no_trouble(number);
    ck_assert_int_gt(book->granted, KILLS / 10);
    ck_assert_uint_gt(w.segment->shared->rebuilds, KILLS / 10); /* so many died inside */
    ck_assert_int_eq(descriptors(), before);
    nothing_is_left(&w);
}
END_TEST

/* ---- who notices ------------------------------------------------------------------------------------ */

static pid_t hold_everything(ledger_world_t *w, int fd)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    sit_down(w);
    take(w->ledger);
    (void)!write(fd, "x", 1);
    for (;;) {
        pause();
    }
}

static void wait_for_byte(int fd)
{
    char byte;

    ck_assert_int_eq(read(fd, &byte, 1), 1);
}

START_TEST(the_living_notice_a_death_without_the_parent)
{
    ledger_world_t w;
    abl_ticket_t *ticket;
    int64_t killed;
    int fds[2];
    pid_t holder;

    make_world(&w, "a", 1);
    ck_assert_int_eq(pipe(fds), 0);
    for (int round = 0; round < 20; round++) {
        holder = hold_everything(&w, fds[1]);
        wait_for_byte(fds[0]);
        if (w.child == NULL) {
            sit_down(&w); /* after the first fork: it is the second in its seat, and follows the leader */
        }
        ticket = queue(w.ledger);
        killed = abl_clock_now();
        kill(holder, SIGKILL); /* stays a zombie: nobody waits for it until the lease is here */
        ck_assert_int_eq(collect(w.ledger, &ticket), 0);
        ck_assert_int_lt(abl_clock_now() - killed, ABL_SECOND);
        sound(&w);
        abl_ledger_give(w.ledger, 0, NULL);
        waitpid(holder, NULL, 0);
    }
}
END_TEST

/* A child that leads, and then forks somebody who has copies of all its descriptors. */
static pid_t lead(ledger_world_t *w, int ready, int go)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    sit_down(w);
    (void)!write(ready, "x", 1);
    wait_for_byte(go);
    if (fork() != 0) {
        (void)!write(ready, "x", 1);
    } else {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    for (;;) {
        pause();
    }
}

static uint32_t seat_of(const ledger_world_t *w, pid_t pid)
{
    uint32_t seat = w->segment->nseats;

    while (seat > 0 && w->segment->seats[seat].pid != pid) {
        seat--;
    }
    return seat;
}

START_TEST(who_takes_the_seat_of_a_dead_one_keeps_it)
{
    ledger_world_t w;
    abl_ticket_t *ticket;
    int ready[2], go[2];
    pid_t leader, dead, next;
    uint32_t seat;

    make_world(&w, "a", 1);
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(go), 0);
    leader = lead(&w, ready[1], go[0]);
    wait_for_byte(ready[0]);
    dead = hold_everything(&w, ready[1]);
    wait_for_byte(ready[0]);
    seat = seat_of(&w, dead);
    usleep(50000); /* the leader watches by now; were it later, it would only copy less */
    (void)!write(go[1], "x", 1);
    wait_for_byte(ready[0]);
    kill(dead, SIGKILL);
    waitpid(dead, NULL, 0);
    for (int patience = 2000; w.segment->seats[seat].pid == dead && patience > 0; patience--) {
        usleep(1000);
    }
    next = hold_everything(&w, ready[1]);
    wait_for_byte(ready[0]);
    ck_assert_uint_eq(seat_of(&w, next), seat);
    sit_down(&w);
    ticket = queue(w.ledger);
    ck_assert(!rings(ticket, 300)); /* nobody declares the living one dead */
    ck_assert_uint_eq(seat_of(&w, next), seat);
    sound(&w);
    kill(next, SIGKILL);
    ck_assert_int_eq(collect(w.ledger, &ticket), 0);
    abl_ledger_give(w.ledger, 0, NULL);
    sound(&w);
    waitpid(next, NULL, 0);
    kill(leader, SIGKILL);
    waitpid(leader, NULL, 0);
}
END_TEST

/* ---- the order over processes ----------------------------------------------------------------------- */

START_TEST(one_queue_for_all_processes)
{
    ledger_world_t w;
    _Atomic int *turn = mmap(NULL, sizeof(*turn), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fds[2], status;
    static pid_t pids[QUEUED];

    make_world(&w, "a", 1);
    ck_assert_int_eq(abl_segment_create(QUEUED + 8, &w.segment), APR_SUCCESS);
    configure(&w);
    ck_assert_int_eq(pipe(fds), 0);
    pids[0] = hold_everything(&w, fds[1]);
    wait_for_byte(fds[0]);
    for (int i = 1; i < QUEUED; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            sit_down(&w);
            abl_ticket_t *ticket = queue(w.ledger);
            (void)!write(fds[1], "x", 1);
            int member = collect(w.ledger, &ticket);
            int mine = atomic_fetch_add(turn, 1);
            abl_ledger_give(w.ledger, member, NULL);
            _exit(mine == i - 1 ? 0 : 1);
        }
        wait_for_byte(fds[0]);
    }
    kill(pids[0], SIGKILL);
    waitpid(pids[0], NULL, 0);
    abl_segment_reap(w.segment, pids[0]);
    for (int i = 1; i < QUEUED; i++) {
        waitpid(pids[i], &status, 0);
        ck_assert_int_eq(status, 0);
        abl_segment_reap(w.segment, pids[i]);
    }
    nothing_is_left(&w);
}
END_TEST

/* ---- configurations --------------------------------------------------------------------------------- */

START_TEST(a_thousand_configurations_cost_nothing)
{
    ledger_world_t w;
    int before;
    size_t heap = 0;

    make_world(&w, "abcd", 1);
    before = descriptors();
    for (int number = 0; number < RELOADS; number++) {
        reload(&w, number);
        if (number == RELOADS / 10) {
            heap = mallinfo2().uordblks;
        }
    }
    ck_assert_uint_le(mallinfo2().uordblks, heap);
    ck_assert_int_eq(descriptors(), before);
    nothing_is_left(&w);
    ck_assert_uint_le(w.segment->shared->rows_used, 6);
}
END_TEST

START_TEST(every_seat_may_be_taken)
{
    ledger_world_t w;
    int fds[2];
    pid_t pids[32];

    make_world(&w, "a", 0);
    ck_assert_int_eq(pipe(fds), 0);
    for (size_t i = 0; i < COUNT(pids); i++) {
        pids[i] = hold_everything(&w, fds[1]);
        wait_for_byte(fds[0]);
    }
    ck_assert_int_eq(abl_segment_join(w.segment, &w.child), APR_ENOSPC);
    for (size_t i = 0; i < COUNT(pids); i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        abl_segment_reap(w.segment, pids[i]);
    }
    nothing_is_left(&w);
}
END_TEST

UNIT_MAIN("ledger_churn", ten_thousand_deaths, the_living_notice_a_death_without_the_parent,
          who_takes_the_seat_of_a_dead_one_keeps_it, one_queue_for_all_processes,
          a_thousand_configurations_cost_nothing, every_seat_may_be_taken)
