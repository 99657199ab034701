/* Memory that is there: what these return is never NULL, unless said, and is the caller's to free() or to give on. Any
 * thread.
 *
 * Out of memory ends the process (abort()). A server that cannot allocate cannot keep its promises: a member event that
 * was not told or a lease that was not written would be missed by nobody until much later, while a supervisor starts a
 * process that ended at once, and presence repairs what it left. It also spares every caller a way out that no test
 * would ever take. What a stranger can make large is bounded before it is asked for here.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define NEW_RESULT returns_nonnull, warn_unused_result

/* All zeroes. */
void *new_zeroed(size_t bytes) __attribute__((malloc, alloc_size(1), NEW_RESULT));

/* All zeroes: so many items one behind the other; none is a good number. */
void *new_array(size_t count, size_t item_bytes) __attribute__((malloc, alloc_size(1, 2), NEW_RESULT));

/* The bytes and a NUL behind them. They may be anything, NULs as well; NULL when there are none. */
void *new_copy(const void *bytes, size_t length) __attribute__((malloc, NEW_RESULT));

/* A copy of the text; NULL of NULL. */
char *new_text(const char *text) __attribute__((malloc, warn_unused_result));

/* What printf would write. */
char *new_printed(const char *format, ...) __attribute__((malloc, format(printf, 1, 2), NEW_RESULT));
char *new_vprinted(const char *format, va_list arguments)
    __attribute__((malloc, format(printf, 1, 0), NEW_RESULT));

/* An array (or NULL) that holds exactly so many items, at least one. New items are not set. */
void *resized(void *items, size_t count, size_t item_bytes) __attribute__((NEW_RESULT));

/* An array (or NULL, of capacity 0) with room for `needed` items at least. Its capacity is doubled until it suffices, from
 * 4 on, so that adding one at a time costs the same for each. New items are not set. */
void *grown(void *items, size_t *capacity, size_t needed, size_t item_bytes)
    __attribute__((warn_unused_result));

/* What a library made, which makes it unless there is no memory. */
void *must_have(void *made) __attribute__((NEW_RESULT));

/* The same of a call that says whether it worked: one that fails only for want of memory, or of something else that no
 * server runs without (random numbers, a method of the library that it was built with). */
void must(bool worked);
