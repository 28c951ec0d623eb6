/* Part of _core.c. WebSocket data frames (RFC 6455 section 5.2). */

static inline __attribute__((always_inline)) void xor_words(unsigned char *bytes, size_t words, uint64_t mask)
{
    for (size_t at = 0; at < words * 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        word ^= mask;
        memcpy(bytes + at, &word, 8);
    }
}

#ifdef __x86_64__
/* The same in half as many steps, on processors that have AVX2. */
__attribute__((target("avx2"))) static void xor_words_by_avx2(unsigned char *bytes, size_t words, uint64_t mask)
{
    xor_words(bytes, words, mask);
}
#endif

/* Mask or unmask, and rotate the mask to what comes next. */
static void unmask(unsigned char *bytes, size_t size, unsigned char mask[4])
{
    unsigned char turned[4];
    uint64_t twice;
    size_t words = size / 8;
    memcpy(&twice, mask, 4);
    memcpy((unsigned char *)&twice + 4, mask, 4);
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        xor_words_by_avx2(bytes, words, twice);
    else
#endif
        xor_words(bytes, words, twice);
    for (size_t at = words * 8; at < size; at++)
        bytes[at] ^= mask[at & 3];
    for (int byte = 0; byte < 4; byte++)
        turned[byte] = mask[(size + (size_t)byte) & 3];
    memcpy(mask, turned, 4);
}

/* The masking keys of a client: they are unpredictable, and each is used once (RFC 6455 section 5.3). Returns -1 if
   there are none. */
static int new_mask(unsigned char mask[4])
{
    static unsigned char keys[4 * 1024];
    static size_t used = sizeof keys;
    if (used == sizeof keys) {
        for (size_t filled = 0; filled < sizeof keys;) {
            ssize_t got = getrandom(keys + filled, sizeof keys - filled, 0);
            if (got < 0 && errno != EINTR)
                return -1;
            filled += got < 0 ? 0 : (size_t)got;
        }
        used = 0;
    }
    memcpy(mask, keys + used, 4);
    used += 4;
    return 0;
}

/* Parse a header of which `header_size` bytes are here. Returns 1 if it is complete and of a data frame, 0 if more has
   to come, and -1 if the frame is for Python. */
static int look_at_header(Session *self)
{
    const unsigned char *header = self->header;
    size_t whole = self->is_client ? 2 : 6;
    if (header[0] != 0x82)
        return -1;
    if (self->header_size < 2)
        return 0;
    if ((header[1] >> 7) == self->is_client)
        return -1;
    uint64_t length = header[1] & 0x7F;
    if (length >= 126) {
        size_t width = length == 126 ? 2 : 8;
        whole += width;
        if (self->header_size < 2 + width)
            return 0;
        length = 0;
        for (size_t byte = 0; byte < width; byte++)
            length = length << 8 | header[2 + byte];
        if (length < (width == 2 ? 126 : 65536))
            return -1;
    }
    if (length == 0 || length > MAX_FRAME)
        return -1;
    if (self->header_size < whole)
        return 0;
    if (!self->is_client)
        memcpy(self->mask, header + whole - 4, 4);
    self->payload_left = (size_t)length;
    self->header_size = 0;
    return 1;
}

/* What was found in the bytes of a call. */
typedef struct {
    unsigned char *bytes;
    size_t at;         /* bytes looked at */
    size_t carried;    /* payload bytes among them, which are listed here */
    struct iovec pieces[MOST_FRAMES + 1]; /* one for a frame that had begun before, and MOST_FRAMES more */
    int count, frames;
    int is_taken;      /* whether data frames are handled here at all */
    int is_for_python; /* everything from here on is for Python */
} Found;

/* Continue, up to `end`, to look for payloads, and unmask them: best after each record, while it is in the processor's
   innermost cache. */
static void look_for_payload(Session *self, Found *found, size_t end)
{
    while (found->at < end && !found->is_for_python) {
        if (self->payload_left) {
            unsigned char *payload = found->bytes + found->at;
            size_t length = least(self->payload_left, end - found->at);
            if (!self->is_client)
                unmask(payload, length, self->mask);
            struct iovec *last = found->count ? &found->pieces[found->count - 1] : NULL;
            if (last != NULL && (unsigned char *)last->iov_base + last->iov_len == payload)
                last->iov_len += length;
            else
                found->pieces[found->count++] = (struct iovec){.iov_base = payload, .iov_len = length};
            self->payload_left -= length;
            found->carried += length;
            found->at += length;
        } else if (found->is_taken && (found->frames < MOST_FRAMES || self->header_size)) {
            self->header[self->header_size++] = found->bytes[found->at++];
            int is_whole = look_at_header(self);
            found->frames += is_whole > 0;
            found->is_for_python = is_whole < 0;
        } else {
            found->is_for_python = 1;
        }
    }
}

/* Put what is for Python into `plain`: everything from the beginning of a frame to `end`. Returns 0, or -1 if memory
   ran out. */
static int leave_to_python(Session *self, const Found *found, size_t end)
{
    size_t begun = self->header_size, length = end - found->at;
    Py_XDECREF(self->plain);
    self->plain = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(begun + length));
    if (self->plain == NULL)
        return -1;
    unsigned char *plain = (unsigned char *)PyBytes_AsString(self->plain);
    memcpy(plain, self->header, begun);
    memcpy(plain + begun, found->bytes + found->at, length);
    self->header_size = 0;
    return 0;
}

/* Write the header of a frame with so many bytes so that it ends at `end`, with a mask if there is one. Returns its
   size. */
static size_t put_header(unsigned char *end, size_t size, const unsigned char *mask)
{
    if (mask != NULL) {
        memcpy(end - 4, mask, 4);
        size_t length = put_header(end - 4, size, NULL);
        end[-3 - (int)length] |= 0x80;
        return length + 4;
    }
    if (size < 126) {
        end[-2] = 0x82;
        end[-1] = (unsigned char)size;
        return 2;
    }
    end[-4] = 0x82;
    end[-3] = 126;
    end[-2] = (unsigned char)(size >> 8);
    end[-1] = (unsigned char)size;
    return 4;
}
