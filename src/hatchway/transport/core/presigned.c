/* Part of _core.c. A presigned URL (Signature Version 4) in the form that AWS's clients and ours write: what it claims,
   and the text that its signature must match. Nothing is verified here. Any other form is left to Python, which reads
   it, or refuses it and says why. */

#define LONGEST_KEY 64 /* bytes: HMAC replaces longer keys by their digest (RFC 2104 section 2) */
#define DIGEST 32      /* bytes of a digest of SHA-256 */
#define BLOCK 64       /* bytes of a block of SHA-256 */
#define LONGEST_TEXT 256 /* bytes of a text to sign: at most 250 for what `read_claims` accepts */

typedef struct {
    const char *bytes;
    size_t size;
} Text;

typedef struct {
    Text name, value;
} Parameter;

typedef struct {
    Text key_id, date, region, service, timestamp, expires, token, signature;
} Claims;

static EVP_MD *sha256; /* looked up once: OpenSSL would do so for each digest, which takes as long as a short digest */
static EVP_MD_CTX *hashing;

/* Whether it is text that UTF-8 can encode. */
static int is_text(PyObject *object, Text *text)
{
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(object))
        return 0;
    text->bytes = PyUnicode_AsUTF8AndSize(object, &size);
    text->size = (size_t)size;
    if (text->bytes == NULL)
        PyErr_Clear();
    return text->bytes != NULL;
}

static int is(const Text *text, const char *word)
{
    return text->size == strlen(word) && memcmp(text->bytes, word, text->size) == 0;
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

static int is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static int is_of_hex(unsigned char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f');
}

static int is_of_word(unsigned char byte)
{
    return byte == '_' || (is_unreserved(byte) && byte != '-' && byte != '.' && byte != '~');
}

static int is_of_region(unsigned char byte)
{
    return byte == '-' || (is_of_word(byte) && byte != '_');
}

static int all_are(const Text *text, int (*is_one)(unsigned char), size_t least_size, size_t most)
{
    if (text->size < least_size || text->size > most)
        return 0;
    for (size_t at = 0; at < text->size; at++)
        if (!is_one((unsigned char)text->bytes[at]))
            return 0;
    return 1;
}

/* The parameters of a query in its canonical encoding, without duplicates. Returns how many; 0 for any other query. */
static size_t split_query(const Text *query, Parameter *parameters)
{
    const unsigned char *at = (const unsigned char *)query->bytes, *end = at + query->size;
    for (size_t found = 0; found < MOST_PARAMETERS;) {
        const unsigned char *middle = skip_canonical(at, end);
        const unsigned char *after = middle == end || *middle != '=' ? NULL : skip_canonical(middle + 1, end);
        if (after == NULL || (after < end && *after != '&'))
            return 0;
        parameters[found].name = (Text){(const char *)at, (size_t)(middle - at)};
        parameters[found].value = (Text){(const char *)middle + 1, (size_t)(after - middle - 1)};
        found++;
        if (after == end)
            return found;
        at = after + 1;
    }
    return 0;
}

/* Take the part of a credential up to the next slash, which is encoded. */
static int take_part(Text *left, Text *part)
{
    const char *slash = memmem(left->bytes, left->size, "%2F", 3);
    if (slash == NULL)
        return 0;
    *part = (Text){left->bytes, (size_t)(slash - left->bytes)};
    *left = (Text){slash + 3, left->size - part->size - 3};
    return 1;
}

/* The last parameters of a query: those of a signature, in the order in which clients write them, and no others
   beginning like them. */
static int read_claims(const Parameter *parameters, size_t count, Claims *claims)
{
    static const char *const names[] = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
                                        "X-Amz-SignedHeaders", "X-Amz-Security-Token", "X-Amz-Signature"};
    enum { ALGORITHM, CREDENTIAL, DATE, EXPIRES, SIGNED_HEADERS, TOKEN, SIGNATURE, ALL };
    Text values[ALL] = {{NULL, 0}};
    const Parameter *last = parameters + count;
    for (int name = ALL; name-- > 0;) {
        if (last > parameters && is(&last[-1].name, names[name]))
            values[name] = (--last)->value;
        else if (name != TOKEN)
            return 0;
    }
    /* A token is found wherever it stands. */
    for (const Parameter *other = parameters; other < last; other++)
        if (other->name.size >= 6 && memcmp(other->name.bytes, "X-Amz-", 6) == 0)
            return 0;
    Text credential = values[CREDENTIAL], timestamp = values[DATE];
    if (timestamp.size != 16)
        return 0;
    const Text day = {timestamp.bytes, least(timestamp.size, 8)}, time = {timestamp.bytes + 9, 6}; /* around a T, and before a Z */
    *claims = (Claims){.timestamp = timestamp, .expires = values[EXPIRES], .token = values[TOKEN],
                       .signature = values[SIGNATURE]};
    return is(&values[ALGORITHM], "AWS4-HMAC-SHA256") && is(&values[SIGNED_HEADERS], "host")
        && take_part(&credential, &claims->key_id) && take_part(&credential, &claims->date)
        && take_part(&credential, &claims->region) && take_part(&credential, &claims->service)
        && is(&credential, "aws4_request") && all_are(&claims->key_id, is_of_word, 1, 128)
        && all_are(&claims->date, is_digit, 8, 8) && all_are(&claims->region, is_of_region, 1, 64)
        && all_are(&claims->service, is_of_region, 1, 64) && all_are(&day, is_digit, 8, 8)
        && timestamp.bytes[8] == 'T' && all_are(&time, is_digit, 6, 6) && timestamp.bytes[15] == 'Z'
        && all_are(&claims->expires, is_digit, 1, 5) && claims->expires.bytes[0] != '0'
        && all_are(&claims->signature, is_of_hex, 2 * DIGEST, 2 * DIGEST);
}

/* Sort them by name. Returns whether each occurs once. */
static int sort_parameters(Parameter *parameters, size_t count)
{
    for (size_t next = 1; next < count; next++) {
        const Parameter moved = parameters[next];
        size_t at = next;
        for (; at > 0; at--) {
            const Text *one = &parameters[at - 1].name, *other = &moved.name;
            int order = memcmp(one->bytes, other->bytes, least(one->size, other->size));
            if (order == 0 && one->size == other->size)
                return 0;
            if (order < 0 || (order == 0 && one->size < other->size))
                break;
            parameters[at] = parameters[at - 1];
        }
        parameters[at] = moved;
    }
    return 1;
}

/* A path that is its own canonical form: segments of unreserved characters, none of which is empty or begins with a
   dot. */
static int is_plain_path(const Text *path)
{
    for (size_t at = 0; at < path->size; at++) {
        unsigned char byte = (unsigned char)path->bytes[at];
        int begins = at == 0 || path->bytes[at - 1] == '/';
        if (at == 0 ? byte != '/' : begins ? byte == '.' || !is_unreserved(byte) : byte != '/' && !is_unreserved(byte))
            return 0;
    }
    return path->size > 1 && path->bytes[path->size - 1] != '/';
}

/* The only value of Host. No header may be there that a signature would have to cover, or that is one. */
static int find_host(PyObject *headers, Text *host)
{
    for (Py_ssize_t item = 0, count = PyTuple_Size(headers); item < count; item++) {
        PyObject *pair = PyTuple_GetItem(headers, item);
        Text name;
        if (!PyTuple_CheckExact(pair) || PyTuple_Size(pair) != 2 || !is_text(PyTuple_GetItem(pair, 0), &name))
            return 0;
        for (size_t at = 0; at < name.size; at++)
            if ((name.bytes[at] >= 'A' && name.bytes[at] <= 'Z') || (unsigned char)name.bytes[at] >= 0x80)
                return 0;
        if (is(&name, "authorization") || (name.size >= 6 && memcmp(name.bytes, "x-amz-", 6) == 0))
            return 0;
        if (is(&name, "host") && (host->bytes != NULL || !is_text(PyTuple_GetItem(pair, 1), host)))
            return 0;
    }
    if (host->bytes == NULL)
        return 0;
    for (size_t at = 0; at < host->size; at++)
        if (host->bytes[at] <= ' ' || host->bytes[at] >= 0x7f)
            return 0;
    return host->size > 0;
}

/* The digest of the canonical request, a GET without a body, in hexadecimal. */
static int digest_request(const Text *path, const Parameter *parameters, size_t count, const Text *host, char *text)
{
    static const char before[] = "GET\n", host_line[] = "\nhost:", signed_line[] = "\n\nhost\n",
                      nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    unsigned char digest[DIGEST];
    const char *between = "\n";
    if (!EVP_DigestInit_ex(hashing, sha256, NULL) || !add(before, sizeof before - 1) || !add(path->bytes, path->size))
        return 0;
    for (const Parameter *each = parameters; each < parameters + count; each++) {
        if (is(&each->name, "X-Amz-Signature"))
            continue;
        if (!add(between, 1) || !add(each->name.bytes, each->name.size) || !add("=", 1)
            || !add(each->value.bytes, each->value.size))
            return 0;
        between = "&";
    }
    if (!add(host_line, sizeof host_line - 1) || !add(host->bytes, host->size)
        || !add(signed_line, sizeof signed_line - 1) || !add(nothing, sizeof nothing - 1)
        || !EVP_DigestFinal_ex(hashing, digest, NULL))
        return 0;
    write_hex(digest, text);
    return 1;
}

/* Write the text to sign. Returns its size. */
static size_t write_text(const Claims *claims, const char *digest, char *text)
{
    const Text parts[] = {{"AWS4-HMAC-SHA256\n", 17}, claims->timestamp, {"\n", 1}, claims->date, {"/", 1},
                          claims->region, {"/", 1}, claims->service, {"/aws4_request\n", 14}, {digest, 2 * DIGEST}};
    size_t size = 0;
    for (size_t part = 0; part < sizeof parts / sizeof *parts; part++) {
        memcpy(text + size, parts[part].bytes, parts[part].size);
        size += parts[part].size;
    }
    return size;
}

/* read_presigned(path, query, headers): `ReadPresigned` of sigv4/signature.py. */
static PyObject *read_presigned(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    Text path, query, host = {NULL, 0};
    Parameter parameters[MOST_PARAMETERS];
    Claims claims;
    char digest[2 * DIGEST], text[LONGEST_TEXT];
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "three arguments are expected");
        return NULL;
    }
    if (sha256 == NULL || hashing == NULL || !is_text(given[0], &path) || !is_plain_path(&path)
        || !is_text(given[1], &query) || !PyTuple_CheckExact(given[2]) || !find_host(given[2], &host))
        Py_RETURN_NONE;
    size_t found = split_query(&query, parameters);
    if (found == 0 || !read_claims(parameters, found, &claims) || !sort_parameters(parameters, found))
        Py_RETURN_NONE;
    if (!digest_request(&path, parameters, found, &host, digest)) {
        clear_errors();
        Py_RETURN_NONE;
    }
    size_t size = write_text(&claims, digest, text);
    return Py_BuildValue("(s#s#s#s#s#s#s#z#s#)", claims.key_id.bytes, (Py_ssize_t)claims.key_id.size, claims.date.bytes,
                         (Py_ssize_t)claims.date.size, claims.region.bytes, (Py_ssize_t)claims.region.size,
                         claims.service.bytes, (Py_ssize_t)claims.service.size, claims.timestamp.bytes,
                         (Py_ssize_t)claims.timestamp.size, claims.expires.bytes, (Py_ssize_t)claims.expires.size,
                         claims.signature.bytes, (Py_ssize_t)claims.signature.size, claims.token.bytes,
                         (Py_ssize_t)claims.token.size, text, (Py_ssize_t)size);
}

/* keyed_digest(key, message): HMAC-SHA256 (RFC 2104) in hexadecimal, `KeyedDigest` of sigv4/verification.py. */
static PyObject *keyed_digest(PyObject *Py_UNUSED(module), PyObject *const *given, Py_ssize_t count)
{
    Text message;
    char *key, text[2 * DIGEST];
    Py_ssize_t size;
    unsigned char pad[BLOCK], digest[DIGEST];
    if (count != 2 || !PyBytes_Check(given[0]) || !is_text(given[1], &message)) {
        PyErr_SetString(PyExc_TypeError, "a key and a text are expected");
        return NULL;
    }
    if (PyBytes_AsStringAndSize(given[0], &key, &size) < 0)
        return NULL;
    if (size > LONGEST_KEY || sha256 == NULL || hashing == NULL) {
        PyErr_SetString(PyExc_ValueError, "the key is too long, or there is no SHA-256");
        return NULL;
    }
    for (Py_ssize_t byte = 0; byte < BLOCK; byte++)
        pad[byte] = (unsigned char)((byte < size ? key[byte] : 0) ^ 0x36);
    int made = EVP_DigestInit_ex(hashing, sha256, NULL) && add(pad, BLOCK) && add(message.bytes, message.size)
        && EVP_DigestFinal_ex(hashing, digest, NULL);
    for (size_t byte = 0; byte < BLOCK; byte++)
        pad[byte] ^= 0x36 ^ 0x5c;
    made = made && EVP_DigestInit_ex(hashing, sha256, NULL) && add(pad, BLOCK) && add(digest, DIGEST)
        && EVP_DigestFinal_ex(hashing, digest, NULL);
    OPENSSL_cleanse(pad, sizeof pad);
    if (!made) {
        clear_errors();
        return PyErr_NoMemory();
    }
    write_hex(digest, text);
    return PyUnicode_DecodeASCII(text, sizeof text, NULL);
}
