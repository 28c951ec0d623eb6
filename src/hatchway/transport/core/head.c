/* Part of _core.c. The head of a request in the form that clients usually write. Any other form is left to Python,
   which reads it, or refuses it and says why. */

#define MOST_HEADERS 32
#define MOST_PARAMETERS 32
#define LONGEST_NAME 64 /* bytes of a header's name */

static const unsigned char UNRESERVED[256] = { /* RFC 3986 section 2.3 */
    ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['0' ... '9'] = 1, ['-'] = 1, ['.'] = 1, ['_'] = 1, ['~'] = 1,
};

static int is_unreserved(unsigned char byte)
{
    return UNRESERVED[byte];
}

static int upper_hex(unsigned char byte) /* -1 for anything but an upper-case hexadecimal digit */
{
    return byte >= '0' && byte <= '9' ? byte - '0' : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* The end of the text that begins here and ends before `end`, in which each byte is encoded in the one canonical way.
   */
static const unsigned char *skip_canonical(const unsigned char *at, const unsigned char *end)
{
    for (;;) {
        while (at < end && is_unreserved(*at))
            at++;
        if (end - at < 3 || *at != '%' || upper_hex(at[1]) < 0 || upper_hex(at[2]) < 0
            || is_unreserved((unsigned char)(upper_hex(at[1]) << 4 | upper_hex(at[2]))))
            return at;
        at += 3;
    }
}

/* A tuple of the first `count` of these. It takes their references, and drops them if there is no tuple. */
static PyObject *tuple_of(PyObject **items, Py_ssize_t count)
{
    PyObject *all = PyTuple_New(count);
    for (Py_ssize_t item = 0; item < count; item++) {
        if (all == NULL)
            Py_DECREF(items[item]);
        else
            PyTuple_SetItem(all, item, items[item]);
    }
    return all;
}

static PyObject *pair_of(const void *name, size_t name_size, const void *value, size_t value_size)
{
    PyObject *both[2] = {PyUnicode_DecodeASCII(name, (Py_ssize_t)name_size, NULL), NULL};
    if (both[0] != NULL)
        both[1] = PyUnicode_DecodeASCII(value, (Py_ssize_t)value_size, NULL);
    if (both[1] == NULL) {
        Py_XDECREF(both[0]);
        return NULL;
    }
    return tuple_of(both, 2);
}

/* The tuple of the `found` items that were read; `is_whole` is whether the reading reached the end. */
static PyObject *all_of(PyObject **items, Py_ssize_t found, int is_whole)
{
    if (is_whole)
        return tuple_of(items, found);
    while (found > 0)
        Py_DECREF(items[--found]);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

/* The names and values of a query that is already in its canonical encoding; None for any other. */
static PyObject *read_query(const unsigned char *at, const unsigned char *end)
{
    PyObject *pairs[MOST_PARAMETERS];
    for (Py_ssize_t found = 0;;) {
        const unsigned char *middle = skip_canonical(at, end);
        if (middle == end || *middle != '=' || found == MOST_PARAMETERS)
            return all_of(pairs, found, 0);
        const unsigned char *after = skip_canonical(middle + 1, end);
        if (after < end && *after != '&')
            return all_of(pairs, found, 0);
        pairs[found] = pair_of(at, (size_t)(middle - at), middle + 1, (size_t)(after - middle - 1));
        if (pairs[found] == NULL)
            return all_of(pairs, found, 0);
        found++;
        if (after == end)
            return all_of(pairs, found, 1);
        at = after + 1;
    }
}

static int is_token(unsigned char byte) /* RFC 9110 section 5.6.2 */
{
    return is_unreserved(byte) || (byte != 0 && strchr("!#$%&'*+^`|", byte) != NULL);
}

/* The headers up to `end`, each after a line end: names in lower case. None if one has another form, or announces a
   body. */
static PyObject *read_headers(const unsigned char *at, const unsigned char *end)
{
    PyObject *headers[MOST_HEADERS];
    Py_ssize_t found = 0;
    while (at < end) {
        char name[LONGEST_NAME];
        size_t size = 0;
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n' || found == MOST_HEADERS)
            return all_of(headers, found, 0);
        for (at += 2; at < end && is_token(*at) && size < LONGEST_NAME; at++)
            name[size++] = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
        if (at == end || *at != ':' || size == 0 || (size == 14 && memcmp(name, "content-length", size) == 0)
            || (size == 17 && memcmp(name, "transfer-encoding", size) == 0))
            return all_of(headers, found, 0);
        for (at++; at < end && *at == ' '; at++)
            ;
        const unsigned char *value = at;
        while (at < end && *at >= ' ' && *at < 0x7f)
            at++;
        const unsigned char *after = at;
        while (after > value && after[-1] == ' ')
            after--;
        headers[found] = pair_of(name, size, value, (size_t)(after - value));
        if (headers[found] == NULL)
            return all_of(headers, found, 0);
        found++;
    }
    return all_of(headers, found, 1);
}

/* read_head(raw): path, query, headers, and the query's parameters or None; None if the head is not in the usual form.
   */
static PyObject *read_head(PyObject *Py_UNUSED(module), PyObject *raw)
{
    static const char method[] = "GET ", version[] = " HTTP/1.1";
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(raw, &bytes, &size) < 0)
        return NULL;
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    if ((size_t)size < sizeof method + sizeof version || memcmp(at, method, sizeof method - 1) != 0)
        Py_RETURN_NONE;
    const unsigned char *target = at + sizeof method - 1, *question = NULL;
    for (at = target; at < end && *at > ' ' && *at < 0x7f; at++)
        if (*at == '?' && question == NULL)
            question = at;
    if (at == target || (size_t)(end - at) < sizeof version - 1 || memcmp(at, version, sizeof version - 1) != 0)
        Py_RETURN_NONE;
    const unsigned char *path_end = question == NULL ? at : question, *query = question == NULL ? at : question + 1;
    PyObject *headers = read_headers(at + sizeof version - 1, end);
    if (headers == NULL || headers == Py_None)
        return headers;
    PyObject *parts[4] = {PyUnicode_DecodeASCII((const char *)target, path_end - target, NULL), NULL, headers, NULL};
    if (parts[0] != NULL)
        parts[1] = PyUnicode_DecodeASCII((const char *)query, at - query, NULL);
    if (parts[1] != NULL)
        parts[3] = read_query(query, at);
    if (parts[3] == NULL) {
        Py_XDECREF(parts[0]);
        Py_XDECREF(parts[1]);
        Py_DECREF(headers);
        return NULL;
    }
    return tuple_of(parts, 4);
}
