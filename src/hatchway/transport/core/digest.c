/* Part of _core.c. A digest under a key of texts with a query in order, as signatures of requests have it: what is otherwise
   than usual, Python does. */

#define LONGEST_KEY 64 /* bytes: longer ones HMAC takes the digest of (RFC 2104 section 2) */
#define DIGEST 32      /* bytes of a digest of SHA-256 */
#define BLOCK 64       /* bytes that it takes at once */

typedef struct {
    const char *bytes;
    size_t size;
} Text;

static EVP_MD *sha256; /* looked for once: OpenSSL does it at each digest otherwise, which takes as long as a short one */
static EVP_MD_CTX *hashing;

/* Whether it is text that UTF-8 has, and without a zero, which Python takes for the end of a name. */
static int is_text(PyObject *object, Text *text)
{
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(object))
        return 0;
    text->bytes = PyUnicode_AsUTF8AndSize(object, &size);
    text->size = (size_t)size;
    if (text->bytes == NULL)
        PyErr_Clear();
    return text->bytes != NULL && memchr(text->bytes, 0, text->size) == NULL;
}

static int compare(const Text *one, const Text *other) /* as Python does: UTF-8 sorts as its characters do */
{
    int order = memcmp(one->bytes, other->bytes, least(one->size, other->size));
    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

static int add(const void *bytes, size_t size)
{
    return EVP_DigestUpdate(hashing, bytes, size);
}

static void write_hex(const unsigned char *digest, char *text)
{
    for (size_t byte = 0; byte < DIGEST; byte++) {
        text[2 * byte] = "0123456789abcdef"[digest[byte] >> 4];
        text[2 * byte + 1] = "0123456789abcdef"[digest[byte] & 15];
    }
}

/* The digest of what is between these two texts: the parameters that are not called `without`, sorted by name and then by
   value. */
static int digest_query(const Text *before, PyObject *parameters, const Text *without, const Text *after, char *text)
{
    Text pairs[MOST_PARAMETERS][2];
    size_t found = 0;
    Py_ssize_t count = PyTuple_Size(parameters);
    if (count > MOST_PARAMETERS)
        return 0;
    for (Py_ssize_t item = 0; item < count; item++) {
        PyObject *pair = PyTuple_GetItem(parameters, item);
        Text name, value;
        if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2 || !is_text(PyTuple_GetItem(pair, 0), &name)
            || !is_text(PyTuple_GetItem(pair, 1), &value))
            return 0;
        if (without != NULL && compare(&name, without) == 0)
            continue;
        size_t at = found++;
        for (; at > 0; at--) {
            int order = compare(&pairs[at - 1][0], &name);
            if (order < 0 || (order == 0 && compare(&pairs[at - 1][1], &value) <= 0))
                break;
            memcpy(pairs[at], pairs[at - 1], sizeof *pairs);
        }
        pairs[at][0] = name;
        pairs[at][1] = value;
    }
    unsigned char digest[DIGEST];
    if (!EVP_DigestInit_ex(hashing, sha256, NULL) || !add(before->bytes, before->size))
        return 0;
    for (size_t pair = 0; pair < found; pair++)
        if ((pair > 0 && !add("&", 1)) || !add(pairs[pair][0].bytes, pairs[pair][0].size) || !add("=", 1)
            || !add(pairs[pair][1].bytes, pairs[pair][1].size))
            return 0;
    if (!add(after->bytes, after->size) || !EVP_DigestFinal_ex(hashing, digest, NULL))
        return 0;
    write_hex(digest, text);
    return 1;
}

/* HMAC-SHA256 (RFC 2104) of two texts. */
static int hmac(const unsigned char *key, size_t size, const Text *told, const Text *more, char *text)
{
    unsigned char pad[BLOCK], digest[DIGEST];
    int made = 0;
    for (size_t byte = 0; byte < BLOCK; byte++)
        pad[byte] = (unsigned char)((byte < size ? key[byte] : 0) ^ 0x36);
    if (!EVP_DigestInit_ex(hashing, sha256, NULL) || !add(pad, BLOCK) || !add(told->bytes, told->size)
        || !add(more->bytes, more->size) || !EVP_DigestFinal_ex(hashing, digest, NULL))
        goto end;
    for (size_t byte = 0; byte < BLOCK; byte++)
        pad[byte] ^= 0x36 ^ 0x5c;
    made = EVP_DigestInit_ex(hashing, sha256, NULL) && add(pad, BLOCK) && add(digest, DIGEST)
        && EVP_DigestFinal_ex(hashing, digest, NULL);
    if (made)
        write_hex(digest, text);
end:
    OPENSSL_cleanse(pad, sizeof pad);
    return made;
}

/* keyed_digest(key, before, parameters, without, after, told): `KeyedDigest` of sigv4/verification.py. None where one of
   them is of another kind, or there are many parameters. */
static PyObject *keyed_digest(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    char *key, text[2 * DIGEST];
    Py_ssize_t size;
    Text before, without, after, told, digest = {text, sizeof text};
    if (count != 6) {
        PyErr_SetString(PyExc_TypeError, "six arguments are expected");
        return NULL;
    }
    if (!PyBytes_Check(given[0]) || !PyTuple_CheckExact(given[2]) || !is_text(given[1], &before)
        || (given[3] != Py_None && !is_text(given[3], &without)) || !is_text(given[4], &after) || !is_text(given[5], &told))
        Py_RETURN_NONE;
    if (PyBytes_AsStringAndSize(given[0], &key, &size) < 0)
        return NULL;
    if (size > LONGEST_KEY || sha256 == NULL || hashing == NULL
        || !digest_query(&before, given[2], given[3] == Py_None ? NULL : &without, &after, text)
        || !hmac((const unsigned char *)key, (size_t)size, &told, &digest, text)) {
        clear_errors();
        Py_RETURN_NONE;
    }
    return PyUnicode_DecodeASCII(text, sizeof text, NULL);
}
