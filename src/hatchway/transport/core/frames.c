/* Part of _core.c. WebSocket frames with data (RFC 6455 section 5.2). */

static void unmask(unsigned char *bytes, size_t size, unsigned char mask[4])
{
    unsigned char turned[4];
    uint64_t eight;
    size_t at = 0;
    memcpy(&eight, mask, 4);
    memcpy((unsigned char *)&eight + 4, mask, 4);
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, 8);
        word ^= eight;
        memcpy(bytes + at, &word, 8);
    }
    for (; at < size; at++)
        bytes[at] ^= mask[at & 3];
    for (int byte = 0; byte < 4; byte++)
        turned[byte] = mask[(size + (size_t)byte) & 3];
    memcpy(mask, turned, 4);
}

/* A client's keys: nobody can foresee them, and each is used once (RFC 6455 section 5.3). Returns -1 when there are
   none. */
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

/* Look at a header of which there are `header_size` bytes. Returns 1 when it is whole and of a frame for here, 0 when
   more has to come, and -1 when the frame is for Python. */
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

/* Find the payloads in `size` bytes of PLAIN, unmask them, and list them in `pieces`, which has room for one of a frame
   that had begun and of MOST_FRAMES more. What is for Python goes to `plain`. Returns how many pieces; -1 when there is
   no memory. */
static int split(Session *self, size_t size, int is_taken, struct iovec *pieces, size_t *carried)
{
    size_t at = 0;
    int count = 0, frames = 0;
    *carried = 0;
    while (at < size) {
        if (self->payload_left) {
            size_t length = least(self->payload_left, size - at);
            if (!self->is_client)
                unmask(PLAIN_BYTES + at, length, self->mask);
            pieces[count].iov_base = PLAIN_BYTES + at;
            pieces[count++].iov_len = length;
            self->payload_left -= length;
            *carried += length;
            at += length;
            continue;
        }
        int found = -1;
        if (is_taken && (frames < MOST_FRAMES || self->header_size)) {
            self->header[self->header_size++] = PLAIN_BYTES[at++];
            found = look_at_header(self);
        }
        if (found > 0) {
            frames++;
        } else if (found < 0) {
            size_t begun = self->header_size, length = size - at;
            Py_XDECREF(self->plain);
            self->plain = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(begun + length));
            if (self->plain == NULL)
                return -1;
            unsigned char *plain = (unsigned char *)PyBytes_AsString(self->plain);
            memcpy(plain, self->header, begun);
            memcpy(plain + begun, PLAIN_BYTES + at, length);
            self->header_size = 0;
            break;
        }
    }
    self->cost += frames;
    return count;
}

/* The header of a frame with so many bytes, to end where they begin, which a client masks. Returns its size; 0 when
   there is no mask. */
static size_t put_header(unsigned char *end, size_t size, int is_client)
{
    if (is_client) {
        unsigned char mask[4];
        if (new_mask(mask) < 0)
            return 0;
        memcpy(end - 4, mask, 4);
        unmask(end, size, mask);
        size_t length = put_header(end - 4, size, 0);
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
