/* SPDX-License-Identifier: Apache-2.0
 *
 * What ps and top show for this process.
 */
#ifndef ABL_CONTROL_TITLE_H
#define ABL_CONTROL_TITLE_H

/* From now on ps shows `title` as the command line of this process, and top `name`, its first 15 bytes. A
 * title for which the command line it was started with leaves no room is left out. What argv and the
 * environment pointed to is lost: only for a process that does not need them any more, and with one thread.
 */
void abl_title_set(const char *title, const char *name);

#endif
