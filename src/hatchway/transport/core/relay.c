/* Part of _core.c. A tunnel's bytes, read and passed on: `pump` from the client, `push` to it. */

/* Returns 0, or -1 when there is no memory. */
static int keep(PyObject **bytes, const void *from, size_t size)
{
    Py_XDECREF(*bytes);
    *bytes = PyBytes_FromStringAndSize(from, (Py_ssize_t)size);
    return *bytes == NULL ? -1 : 0;
}

/* Read from the client once, or take what was read, and send what it carries to the target. The target may be -1:
   payload goes to `rest` then; or -2: all frames go to Python. Returns how many bytes of payload there were, above 16
   bits of flags; -1 with an exception. */
static long long pump(Session *self, int client, int target, size_t most, PyObject *encrypted)
{
    size_t size = self->stub_size;
    int flags = 0;
    if (self->incoming->start != self->incoming->end || SSL_pending(self->ssl)) {
        PyErr_SetString(PyExc_ValueError, "there is something that has not been read");
        return -1;
    }
    memcpy(IN, self->stub, size);
    most = least(most, MOST);
    if (encrypted == Py_None) {
        ssize_t read = recv(client, IN + size, most, MSG_DONTWAIT);
        if (read < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return NOTHING;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (read == 0)
            return END;
        size += (size_t)read;
        if ((size_t)read == most)
            flags |= FULL;
    } else {
        Py_buffer view;
        if (PyObject_GetBuffer(encrypted, &view, PyBUF_SIMPLE) < 0)
            return -1;
        size_t first = least((size_t)view.len, MOST);
        memcpy(IN + size, view.buf, first);
        size += first;
        int failed = first < (size_t)view.len
                     && keep(&self->encrypted, (unsigned char *)view.buf + first, (size_t)view.len - first);
        PyBuffer_Release(&view);
        if (failed)
            return -1;
    }
    self->stub_size = 0;
    self->small = 0;
    self->from = IN;
    self->from_size = size;
    int64_t until = now() + TURN;
    size_t filled = 0;
    long reads = 0;
    ERR_clear_error();
    do {
        self->budget = RECORDS;
        while (sizeof PLAIN_BYTES - filled >= RECORD) {
            int result = SSL_read(self->ssl, PLAIN_BYTES + filled, RECORD);
            if (result > 0) {
                reads++;
                filled += (size_t)result;
                continue;
            }
            int error = SSL_get_error(self->ssl, result);
            if (error == SSL_ERROR_ZERO_RETURN)
                flags |= TLS_ENDED;
            else if (error != SSL_ERROR_WANT_READ)
                flags |= TLS_FAILED;
            break;
        }
    } while (!(flags & (TLS_ENDED | TLS_FAILED)) && sizeof PLAIN_BYTES - filled >= RECORD
             && (self->record_left ? self->from_size > 0 : self->from_size >= HEADER) && now() < until);
    /* Whoever uses OpenSSL next on this thread, as Python's own ssl, would take them for its own. */
    ERR_clear_error();
    const unsigned char *left = self->from;
    size_t left_size = self->from_size;
    self->from = NULL;
    self->from_size = 0;
    if (self->record_left == 0 && left_size < HEADER && self->encrypted == NULL) {
        memcpy(self->stub, left, left_size);
        self->stub_size = left_size;
    } else if (left_size && !(flags & (TLS_ENDED | TLS_FAILED))) {
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
        flags |= ENCRYPTED;
    self->cost += self->small * SMALL_RECORD;
    /* Records that had no data; the last one may be incomplete. */
    long begun = self->record_left > 0, empty = self->records - reads - begun;
    self->records = begun;
    if (empty > 0) {
        self->cost += empty * EMPTY_RECORD;
        self->waste += empty;
    }
    struct iovec pieces[MOST_FRAMES + 1];
    size_t carried = 0;
    int pieces_count = split(self, filled, target != -2, pieces, &carried);
    if (pieces_count < 0)
        return -1;
    if (self->plain != NULL)
        flags |= PLAIN;
    size_t sent = 0;
    if (carried && target >= 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)pieces_count};
        ssize_t result = sendmsg(target, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (result >= 0)
            sent = (size_t)result;
    }
    /* Also after an error, which Python gets again when it sends that. */
    if (sent < carried) {
        Py_XDECREF(self->rest);
        self->rest = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(carried - sent));
        if (self->rest == NULL)
            return -1;
        char *rest = PyBytes_AsString(self->rest);
        for (int piece = 0; piece < pieces_count; piece++) {
            size_t skipped = least(sent, pieces[piece].iov_len);
            sent -= skipped;
            memcpy(rest, (char *)pieces[piece].iov_base + skipped, pieces[piece].iov_len - skipped);
            rest += pieces[piece].iov_len - skipped;
        }
        flags |= REST;
    }
    if (self->outgoing->start != self->outgoing->end)
        flags |= OUTGOING;
    /* A gateway pays nothing: whoever connects to one can leave it. */
    if (!self->is_client && (self->cost > FREE || self->waste))
        flags |= COST;
    else
        self->cost = self->waste = 0;
    self->carried = (long)carried;
    return (long long)carried << 16 | flags;
}

/* Read from the target once, and send it to the client in frames. Returns as `pump` does. */
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
        places[message.msg_iovlen].iov_base = FRAME_BYTES + message.msg_iovlen * FRAME + header_size;
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
    ERR_clear_error();
    self->is_pushing = 1;
    out_size = 0;
    for (size_t frame = 0, left = (size_t)read; left && result == 1; frame++) {
        size_t size = least(left, room), written;
        unsigned char *payload = FRAME_BYTES + frame * FRAME + header_size;
        size_t header = put_header(payload, size, self->is_client);
        result = header ? SSL_write_ex(self->ssl, payload - header, header + size, &written) : -1;
        left -= size;
    }
    self->is_pushing = 0;
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
