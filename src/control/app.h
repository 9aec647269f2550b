/* SPDX-License-Identifier: Apache-2.0
 *
 * What a BalancerApp line says. Made while the configuration is read, never changed afterwards,
 * but for user, group and client, which supervision.c completes.
 */
#ifndef ABL_CONTROL_APP_H
#define ABL_CONTROL_APP_H

#include "control/fleet.h"
#include "control/recycle.h"

#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#define ABL_APPS_MAX 64
#define ABL_APP_LIMITS_MAX 16

/* How an instance is told where to listen. */
typedef enum abl_app_place_t {
    ABL_PLACE_PORT,   /* %{port} in its command: 127.0.0.1 and that port */
    ABL_PLACE_SOCKET, /* %{socket}: a Unix socket that it makes itself */
    ABL_PLACE_FD      /* listen=fd: a socket that listens already is handed to it */
} abl_app_place_t;

typedef struct abl_app_limit_t {
    int resource; /* RLIMIT_… */
    rlim_t value; /* soft and hard */
} abl_app_limit_t;

typedef struct abl_app_conf_t {
    const char *name;
    const char *balancer;
    abl_app_place_t place;
    const char *const *argv;      /* words, with %{port} and %{socket} still in them; ends with NULL */
    const char *const *addresses; /* [nslots]: each slot's member, as the ledger calls it */
    const char *const *sockets;   /* [nslots]: each slot's Unix socket; NULL: it has a port */
    const int *ports;             /* [nslots]: each slot's port, 0 with a socket */
    int nslots;
    const char *dir; /* absolute */
    const char *const
        *env;  /* "NAME=value", what the instance has besides the few that it always has; ends with NULL */
    uid_t uid; /* only where the process that starts it is root */
    gid_t gid;
    uid_t client;     /* of httpd's children, who connect to its sockets */
    const char *user; /* its name, by which his home and groups are found; NULL: that of `uid` is not known */
    int umask;        /* below 0: as it is */
    int nice;
    abl_app_limit_t limits[ABL_APP_LIMITS_MAX];
    int nlimits;
    const char *ready_uri;    /* NULL: it is ready when it accepts */
    const char *restart_file; /* absolute */
    const char *log;          /* a file or named pipe, or "|command"; NULL: the error log */
    uint32_t concurrency;     /* requests at an instance at once; 0: no limit */
    int64_t stuck;            /* a request may take so long, µs; 0: for ever */
    abl_fleet_conf_t fleet;
    abl_recycle_conf_t recycle;
} abl_app_conf_t;

/* The path of this slot's Unix socket; NULL: it has a port. */
static inline const char *abl_app_socket(const abl_app_conf_t *app, int slot)
{
    return app->sockets != NULL ? app->sockets[slot] : NULL;
}

#endif
