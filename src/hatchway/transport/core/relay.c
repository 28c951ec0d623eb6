/* Part of _core.c. Reads a tunnel's bytes and passes them on: `pump` from the client, `push` to it. */

/* Returns 0, or -1 if memory ran out. */
static int keep(PyObject **bytes, const void *from, size_t size)
{
    Py_XDECREF(*bytes);
    *bytes = PyBytes_FromStringAndSize(from, (Py_ssize_t)size);
    return *bytes == NULL ? -1 : 0;
}

/* Whether OpenSSL can be given more: the rest of a record, or a whole header. */
static int has_record(const Session *self)
{
    return self->record_left ? self->from_size > 0 : self->from_size >= HEADER;
}

/* Read from the client once, or take what was read, as input for OpenSSL. If there is nothing, the flags say so.
   Returns 0, or -1 with an exception. */
static int take_in(Session *self, int client, size_t most, PyObject *encrypted, int *flags)
{
    unsigned char *const in = IN + RECORD;
    size_t size = self->stub_size;
    if (self->incoming->start != self->incoming->end || SSL_pending(self->ssl)) {
        PyErr_SetString(PyExc_ValueError, "there is something that has not been read");
        return -1;
    }
    memcpy(in, self->stub, size);
    most = least(most, MOST);
    if (encrypted == Py_None) {
        ssize_t read = recv(client, in + size, most, MSG_DONTWAIT);
        if (read < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                *flags |= NOTHING;
                return 0;
            }
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (read == 0) {
            *flags |= END;
            return 0;
        }
        size += (size_t)read;
        if ((size_t)read == most)
            *flags |= FULL;
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(encrypted, &view, PyBUF_SIMPLE) < 0)
            return -1;
        size_t first = least((size_t)view.len, MOST);
        memcpy(in + size, view.buf, first);
        size += first;
        int failed = first < (size_t)view.len
                     && keep(&self->encrypted, (unsigned char *)view.buf + first, (size_t)view.len - first);
        PyBuffer_Release(&view);
        if (failed)
            return -1;
    }
    self->stub_size = 0;
    self->small = 0;
    self->from = in;
    self->from_size = size;
    return 0;
}

/* OpenSSL gets no more in this call: keep what it has not been given, and count the records for which it has returned
   nothing; `reads` is for how many it has returned something. Returns 0, or -1 with an exception. */
static int set_aside(Session *self, long reads, int *flags)
{
    const unsigned char *left = self->from;
    size_t left_size = self->from_size;
    self->from = NULL;
    self->from_size = 0;
    if (self->record_left == 0 && left_size < HEADER && self->encrypted == NULL) {
        memcpy(self->stub, left, left_size);
        self->stub_size = left_size;
    } else if (left_size && !(*flags & (TLS_ENDED | TLS_FAILED))) {
        PyObject *after = self->encrypted;
        self->encrypted = NULL;
        if (keep(&self->encrypted, left, left_size))
            return -1;
        if (after != NULL) {
            PyObject *both = PySequence_Concat(self->encrypted, after);
            Py_DECREF(after);
            Py_DECREF(self->encrypted);
            self->encrypted = both;
            if (both == NULL)
                return -1;
        }
    }
    if (self->encrypted != NULL)
        *flags |= ENCRYPTED;
    self->cost += self->small * SMALL_RECORD;
    /* Records that had no data; the last one may be incomplete. */
    long begun = self->record_left > 0, empty = self->records - reads - begun;
    self->records = begun;
    if (empty > 0) {
        self->cost += empty * EMPTY_RECORD;
        self->waste += empty;
    }
    return 0;
}

/* Read from the client once, or take what was read, and send the payload to the target. The target may be -1: then
   payload goes to `rest`; or -2: then all frames go to Python. Returns the number of payload bytes above 16 bits of
   flags; -1 with an exception. */
static long long pump(Session *self, int client, int target, size_t most, PyObject *encrypted)
{
    unsigned char *const in = IN + RECORD;
    int flags = 0;
    if (take_in(self, client, most, encrypted, &flags) < 0)
        return -1;
    if (flags & (NOTHING | END))
        return flags;
    int64_t until = now() + TURN;
    Found found;
    found.bytes = self->record_left ? IN : in;
    found.at = found.carried = 0;
    found.count = found.frames = found.is_for_python = 0;
    found.is_taken = target != -2;
    size_t filled = 0;
    long reads = 0;
    clear_errors();
    SSL_clear_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
    do {
        self->budget = RECORDS;
        while (has_record(self)) {
            int result = SSL_read(self->ssl, found.bytes + filled, RECORD);
            if (result > 0) {
                reads++;
                filled += (size_t)result;
                look_for_payload(self, &found, filled);
                continue;
            }
            int error = SSL_get_error(self->ssl, result);
            if (error == SSL_ERROR_ZERO_RETURN)
                flags |= TLS_ENDED;
            else if (error != SSL_ERROR_WANT_READ)
                flags |= TLS_FAILED;
            break;
        }
    } while (!(flags & (TLS_ENDED | TLS_FAILED)) && has_record(self) && now() < until);
    SSL_set_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
    clear_errors();
    if (set_aside(self, reads, &flags) < 0)
        return -1;
    if (found.is_for_python) {
        if (leave_to_python(self, &found, filled))
            return -1;
        flags |= PLAIN;
    }
    self->cost += found.frames;
    size_t sent = 0, carried = found.carried;
    if (carried && target >= 0) {
        struct msghdr message = {.msg_iov = found.pieces, .msg_iovlen = (size_t)found.count};
        ssize_t result = sendmsg(target, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (result >= 0)
            sent = (size_t)result;
    }
    /* Also after an error: Python gets it again when it sends the rest. */
    if (sent < carried) {
        Py_XDECREF(self->rest);
        self->rest = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(carried - sent));
        if (self->rest == NULL)
            return -1;
        char *rest = PyBytes_AsString(self->rest);
        for (const struct iovec *piece = found.pieces; piece < found.pieces + found.count; piece++) {
            size_t skipped = least(sent, piece->iov_len);
            sent -= skipped;
            memcpy(rest, (char *)piece->iov_base + skipped, piece->iov_len - skipped);
            rest += piece->iov_len - skipped;
        }
        flags |= REST;
    }
    if (self->outgoing->start != self->outgoing->end)
        flags |= OUTGOING;
    /* A gateway's cost is not limited: whoever connects to one can leave it. */
    if (!self->is_client && (self->cost > FREE || self->waste))
        flags |= COST;
    else
        self->cost = self->waste = 0;
    self->carried = (long)carried;
    return (long long)carried << 16 | flags;
}

/* Read from the target once, and send that to the client in frames. Returns what `pump` returns. */
static long long push(Session *self, int target, int client, size_t most)
{
    if (self->outgoing->start != self->outgoing->end) {
        PyErr_SetString(PyExc_ValueError, "there is something to be sent first");
        return -1;
    }
    if (!SSL_is_init_finished(self->ssl)) {
        PyErr_SetString(ssl_error, "TLS is amid a message of its own");
        return -1;
    }
    struct iovec places[FRAMES];
    const size_t header_size = self->is_client ? 8 : 4, room = FRAME - header_size;
    struct msghdr message = {.msg_iov = places};
    most = least(most, FRAMES * room);
    for (size_t left = most; left; left -= places[message.msg_iovlen++].iov_len) {
        places[message.msg_iovlen].iov_base = OUT + GROWTH + message.msg_iovlen * FRAME + header_size;
        places[message.msg_iovlen].iov_len = least(left, room);
    }
    ssize_t read = recvmsg(target, &message, MSG_DONTWAIT);
    if (read < 0) {
        if (errno == EAGAIN || errno == EINTR)
            return NOTHING;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    if (read == 0)
        return END;
    int flags = (size_t)read == most ? FULL : 0, result = 1;
    clear_errors();
    SSL_clear_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
    out_size = 0;
    unsigned char *payload = OUT + GROWTH + header_size;
    for (size_t left = (size_t)read; left && result == 1; payload += FRAME) {
        size_t size = least(left, room);
        unsigned char mask[4];
        result = self->is_client && new_mask(mask) ? -1 : 1;
        left -= size;
        unsigned char *at = payload, *end = payload + size;
        at -= put_header(payload, size, self->is_client ? mask : NULL);
        /* Record by record, each masked and encrypted while it is in the processor's innermost cache. */
        while (at < end && result == 1) {
            size_t length = least(RECORD, (size_t)(end - at)), written;
            if (self->is_client) {
                unsigned char *from = at < payload ? payload : at;
                unmask(from, (size_t)(at + length - from), mask);
            }
            self->unread = at + length;
            if (left == 0 && self->unread == end)
                SSL_set_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
            result = SSL_write_ex(self->ssl, at, length, &written);
            at += length;
        }
    }
    self->unread = NULL;
    SSL_set_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
    if (result != 1) {
        raise_ssl();
        return -1;
    }
    ssize_t sent = send(client, OUT, out_size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        sent = 0;
    /* Whatever else is written to the client comes after this. */
    if ((size_t)sent < out_size) {
        if (queue_append(self->outgoing, OUT + sent, out_size - (size_t)sent)) {
            PyErr_NoMemory();
            return -1;
        }
        flags |= OUTGOING;
    }
    return (long long)read << 16 | flags;
}
