#include "edge/pusher/json.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

struct scanner {
    const unsigned char *at, *end;
    int error; /* -EILSEQ or -EINVAL, once something is wrong */
    const char *why;
};

static bool fail(struct scanner *s, int error, const char *why)
{
    if (!s->error) {
        s->error = error;
        s->why = why;
    }
    return false;
}

static bool broken(struct scanner *s)
{
    return fail(s, -EINVAL, s->at == s->end ? "ends before its JSON does" : "is not JSON");
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t'))
        s->at++;
}

static bool take(struct scanner *s, unsigned char c)
{
    if (s->at < s->end && *s->at == c) {
        s->at++;
        return true;
    }
    return broken(s);
}

/* ---- strings ---- */

/* The length of the UTF-8 sequence at `at` (RFC 3629), whose first byte is 0x80 or more; 0 if it is none. */
static size_t utf8_sequence(const unsigned char *at, const unsigned char *end)
{
    unsigned char first = at[0];
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || (size_t)(end - at) < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* The second byte says whether it is overlong, a surrogate, or beyond U+10FFFF. */
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
        (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const unsigned char *at, const unsigned char *end)
{
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Behind a backslash. */
static bool scan_escape(struct scanner *s)
{
    if (s->at == s->end)
        return broken(s);
    unsigned char c = *s->at;
    if (c == 'u') {
        if (hex4(s->at + 1, s->end) < 0)
            return fail(s, -EINVAL, "has a \\u escape without four hexadecimal digits");
        s->at += 5;
        return true;
    }
    if (!c || !strchr("\"\\/bfnrt", c))
        return fail(s, -EINVAL, "has an escape that JSON does not know");
    s->at++;
    return true;
}

/* In front of the opening quote. */
static bool scan_string(struct scanner *s, struct json_value *value)
{
    const unsigned char *start = s->at;
    bool escaped = false;
    if (!take(s, '"'))
        return false;
    while (s->at < s->end && *s->at != '"') {
        unsigned char c = *s->at;
        if (c == '\\') {
            escaped = true;
            s->at++;
            if (!scan_escape(s))
                return false;
        } else if (c >= 0x80) {
            size_t length = utf8_sequence(s->at, s->end);
            if (length == 0)
                return fail(s, -EILSEQ, "is not UTF-8");
            s->at += length;
        } else if (c < 0x20) {
            return fail(s, -EINVAL, "has a control character in a string; JSON wants it escaped");
        } else {
            s->at++;
        }
    }
    if (!take(s, '"'))
        return false;
    *value = (struct json_value){
        .kind = JSON_KIND_STRING, .escaped = escaped, .raw = {(const char *)start, (size_t)(s->at - start)}};
    return true;
}

/* ---- numbers and words ---- */

static bool scan_digits(struct scanner *s)
{
    const unsigned char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start || broken(s);
}

static bool scan_number(struct scanner *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!scan_digits(s))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scanner *s, const char *word)
{
    for (; *word; word++)
        if (!take(s, (unsigned char)*word))
            return false;
    return true;
}

/* ---- values ---- */

static bool scan_value(struct scanner *s, int depth, struct json_value *value);

static bool scan_array(struct scanner *s, int depth)
{
    struct json_value element;
    s->at++;
    skip_space(s);
    if (s->at < s->end && *s->at == ']')
        return take(s, ']');
    for (;;) {
        if (!scan_value(s, depth + 1, &element))
            return false;
        if (s->at < s->end && *s->at == ']')
            return take(s, ']');
        if (!take(s, ','))
            return false;
    }
}

static bool key_is(const struct json_value *key, const char *name)
{
    char decoded[64];
    struct buffer scratch = {.bytes = decoded, .capacity = sizeof(decoded)};
    struct json_text text;
    if (key->escaped && key->raw.length > sizeof(decoded))
        return false; /* an escape is at most six bytes, and no name we look for has ten characters more */
    if (json_string_text(key, &scratch, &text) != 0)
        return false;
    return text.length == strlen(name) && memcmp(text.bytes, name, text.length) == 0;
}

/* The field of that name, or NULL. */
static struct json_field *wanted(const struct json_value *key, struct json_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (key_is(key, fields[i].name))
            return &fields[i];
    return NULL;
}

/* In front of a key; its member's value goes to the field of that name. */
static bool scan_member(struct scanner *s, int depth, struct json_field *fields, size_t count)
{
    struct json_value key, value;
    skip_space(s);
    if (!scan_string(s, &key))
        return false;
    skip_space(s);
    if (!take(s, ':') || !scan_value(s, depth + 1, &value))
        return false;
    struct json_field *field = wanted(&key, fields, count);
    if (!field)
        return true;
    if (field->value.kind != JSON_KIND_ABSENT)
        return fail(s, -EINVAL, "has the same key twice in one object");
    field->value = value;
    return true;
}

static bool scan_object(struct scanner *s, int depth, struct json_field *fields, size_t count)
{
    s->at++;
    skip_space(s);
    if (s->at < s->end && *s->at == '}')
        return take(s, '}');
    for (;;) {
        if (!scan_member(s, depth, fields, count))
            return false;
        if (s->at < s->end && *s->at == '}')
            return take(s, '}');
        if (!take(s, ','))
            return false;
    }
}

static bool scan_by_first(struct scanner *s, int depth, struct json_value *value)
{
    switch (*s->at) {
    case '"':
        return scan_string(s, value);
    case '{':
        value->kind = JSON_KIND_OBJECT;
        return scan_object(s, depth, NULL, 0);
    case '[':
        value->kind = JSON_KIND_ARRAY;
        return scan_array(s, depth);
    case 't':
        value->kind = JSON_KIND_TRUE;
        return scan_word(s, "true");
    case 'f':
        value->kind = JSON_KIND_FALSE;
        return scan_word(s, "false");
    case 'n':
        value->kind = JSON_KIND_NULL;
        return scan_word(s, "null");
    default:
        value->kind = JSON_KIND_NUMBER;
        if (*s->at != '-' && (*s->at < '0' || *s->at > '9'))
            return *s->at >= 0x80 ? fail(s, -EINVAL, "has other characters than ASCII outside of strings")
                                  : broken(s);
        return scan_number(s);
    }
}

/* One value with the white space around it. */
static bool scan_value(struct scanner *s, int depth, struct json_value *value)
{
    if (depth > JSON_DEPTH_MAX)
        return fail(s, -EINVAL, "is nested more than 32 deep");
    skip_space(s);
    if (s->at == s->end)
        return broken(s);
    const unsigned char *start = s->at;
    *value = (struct json_value){.kind = JSON_KIND_ABSENT};
    if (!scan_by_first(s, depth, value))
        return false;
    value->raw = (struct json_text){(const char *)start, (size_t)(s->at - start)};
    skip_space(s);
    return true;
}

int json_object_read(
    const char *text, size_t length, struct json_field *fields, size_t count, const char **why)
{
    struct scanner s = {.at = (const unsigned char *)text, .end = (const unsigned char *)text + length};
    for (size_t i = 0; i < count; i++)
        fields[i].value = (struct json_value){.kind = JSON_KIND_ABSENT};
    skip_space(&s);
    if (s.at == s.end)
        fail(&s, -EINVAL, "is empty");
    else if (*s.at != '{')
        fail(&s, -EINVAL, "is not a JSON object");
    else if (scan_object(&s, 1, fields, count)) {
        skip_space(&s);
        if (s.at < s.end)
            fail(&s, -EINVAL, "goes on after its JSON object");
    }
    *why = s.why;
    return s.error;
}

/* In front of an element of a list of strings. */
static bool scan_listed(
    struct scanner *s, bool (*each)(void *context, const struct json_value *string), void *context)
{
    struct json_value value;
    if (!scan_value(s, 2, &value))
        return false;
    if (value.kind != JSON_KIND_STRING)
        return fail(s, -EINVAL, "has something else than strings in its array");
    return each(context, &value) || fail(s, -EINVAL, "has a string that cannot be taken");
}

static bool scan_list(
    struct scanner *s, bool (*each)(void *context, const struct json_value *string), void *context)
{
    s->at++;
    skip_space(s);
    if (s->at < s->end && *s->at == ']')
        return take(s, ']');
    for (;;) {
        if (!scan_listed(s, each, context))
            return false;
        if (s->at < s->end && *s->at == ']')
            return take(s, ']');
        if (!take(s, ','))
            return false;
    }
}

int json_strings_read(const char *text, size_t length,
    bool (*each)(void *context, const struct json_value *string), void *context, const char **why)
{
    struct scanner s = {.at = (const unsigned char *)text, .end = (const unsigned char *)text + length};
    skip_space(&s);
    if (s.at == s.end)
        fail(&s, -EINVAL, "is empty");
    else if (*s.at != '[')
        fail(&s, -EINVAL, "is not a JSON array");
    else if (scan_list(&s, each, context)) {
        skip_space(&s);
        if (s.at < s.end)
            fail(&s, -EINVAL, "goes on after its JSON array");
    }
    *why = s.why;
    return s.error;
}

/* ---- texts ---- */

static size_t put_utf8(uint32_t c, char *into)
{
    if (c < 0x80) {
        into[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        into[0] = (char)(0xc0 | (c >> 6));
        into[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        into[0] = (char)(0xe0 | (c >> 12));
        into[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        into[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    into[0] = (char)(0xf0 | (c >> 18));
    into[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    into[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    into[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* The character of the \u escape at *at (which stands behind the u), moved past; 0 if there can be none. */
static uint32_t unicode_escape(const unsigned char **at, const unsigned char *end)
{
    int32_t unit = hex4(*at, end);
    *at += 4;
    if (unit <= 0 || (unit >= 0xdc00 && unit <= 0xdfff))
        return 0;
    if (unit < 0xd800 || unit > 0xdbff)
        return (uint32_t)unit;
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
        return 0;
    int32_t low = hex4(*at + 2, end);
    *at += 6;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    return 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

/* One escape, behind its backslash; returns how many bytes it became, 0 if it stands for nothing we can hold.
 */
static size_t decode_escape(const unsigned char **at, const unsigned char *end, char *into)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    unsigned char c = *(*at)++;
    if (c == 'u') {
        uint32_t character = unicode_escape(at, end);
        return character ? put_utf8(character, into) : 0;
    }
    const char *known = strchr(from, c);
    into[0] = known ? to[known - from] : (char)c;
    return 1;
}

int json_string_text(const struct json_value *value, struct buffer *scratch, struct json_text *text)
{
    const unsigned char *at = (const unsigned char *)value->raw.bytes + 1;
    const unsigned char *end = (const unsigned char *)value->raw.bytes + value->raw.length - 1;
    if (!value->escaped) {
        *text = (struct json_text){(const char *)at, (size_t)(end - at)};
        return 0;
    }
    char *start = scratch->bytes + scratch->length, *into = start;
    while (at < end) {
        const unsigned char *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((backslash ? backslash : end) - at);
        memcpy(into, at, plain);
        into += plain;
        at += plain;
        if (!backslash)
            break;
        at++;
        size_t decoded = decode_escape(&at, end, into);
        if (decoded == 0)
            return -EINVAL;
        into += decoded;
    }
    *text = (struct json_text){start, (size_t)(into - start)};
    scratch->length += text->length;
    return 0;
}

size_t json_text_characters(struct json_text text)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.length; i++)
        characters += ((unsigned char)text.bytes[i] & 0xc0) != 0x80;
    return characters;
}

size_t json_text_cut(struct json_text text, size_t max_bytes)
{
    if (text.length <= max_bytes)
        return text.length;
    while (max_bytes > 0 && ((unsigned char)text.bytes[max_bytes] & 0xc0) == 0x80)
        max_bytes--;
    return max_bytes;
}

bool json_text_is(struct json_text text, const char *string)
{
    return text.length == strlen(string) && memcmp(text.bytes, string, text.length) == 0;
}
