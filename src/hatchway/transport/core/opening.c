/* Part of _core.c. A client whose request is yet to come: the TLS handshake, and collecting the head of the request. */

/* The head as it arrives, behind what came of it before; with room for a whole record whenever more is wanted. */
static unsigned char REQUEST[MAX_HEAD + RECORD];

static int has_head(size_t before, size_t size)
{
    size_t from = before < 3 ? 0 : before - 3;
    return size >= MAX_HEAD || memmem(REQUEST + from, size - from, "\r\n\r\n", 4) != NULL;
}

/* Send what OpenSSL has for the client, as far as its socket takes it. */
static int send_outgoing(Session *self, int client)
{
    Queue *outgoing = self->outgoing;
    size_t size = outgoing->end - outgoing->start;
    if (size && client >= 0) {
        ssize_t sent = send(client, outgoing->bytes + outgoing->start, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        /* Also after an error: Python gets it again when it sends the rest. */
        if (sent > 0)
            queue_skip(outgoing, (size_t)sent);
    }
    return outgoing->start != outgoing->end ? OUTGOING : 0;
}

/* Read from a client once, or take what was read: continue the handshake, then collect the head of the request, and
   send TLS's output by `direct` unless that is -1. Nothing behind the record in which the head ends is looked at.
   Returns flags, or -1 with an exception. Once PLAIN is returned, `plain` has everything read of the request: the
   complete head, or MAX_HEAD bytes without its end. */
static int greet(Session *self, int client, int direct, PyObject *encrypted)
{
    int flags = 0, is_whole = 0;
    if (take_in(self, client, GREETED, encrypted, &flags) < 0)
        return -1;
    if (flags & (NOTHING | END))
        return flags;
    if (encrypted == Py_None && ++self->greeted > MOST_GREETED) {
        self->from = NULL;
        return TOO_MUCH;
    }
    int64_t until = now() + TURN;
    size_t before = self->plain == NULL ? 0 : (size_t)PyBytes_Size(self->plain), size = before;
    if (before >= MAX_HEAD) {
        self->from = NULL;
        PyErr_SetString(PyExc_ValueError, "the request has come");
        return -1;
    }
    if (before)
        memcpy(REQUEST, PyBytes_AsString(self->plain), before);
    long reads = 0;
    clear_errors();
    do {
        self->budget = RECORDS;
        while (!is_whole && has_record(self)) {
            int result;
            if (!self->is_open) {
                result = SSL_do_handshake(self->ssl);
                if (result == 1) {
                    self->is_open = 1;
                    self->records = 0;
                    continue;
                }
            } else {
                result = SSL_read(self->ssl, REQUEST + size, RECORD);
                if (result > 0) {
                    reads++;
                    size += (size_t)result;
                    is_whole = has_head(size - (size_t)result, size);
                    continue;
                }
            }
            int error = SSL_get_error(self->ssl, result);
            if (error == SSL_ERROR_ZERO_RETURN)
                flags |= TLS_ENDED;
            else if (error != SSL_ERROR_WANT_READ)
                flags |= TLS_FAILED;
            break;
        }
    } while (!is_whole && !(flags & (TLS_ENDED | TLS_FAILED)) && has_record(self) && now() < until);
    clear_errors();
    if (!self->is_open)
        self->records = 0;
    long wasted = self->waste;
    if (set_aside(self, reads, &flags) < 0 || (size > before && keep(&self->plain, REQUEST, size) < 0))
        return -1;
    self->empty += self->waste - wasted;
    if (is_whole)
        flags |= PLAIN;
    else if (self->empty > MOST_EMPTY)
        return TOO_MUCH;
    flags |= send_outgoing(self, direct);
    if (self->cost > FREE || self->waste)
        flags |= COST;
    else
        self->cost = 0;
    self->carried = (long)(size - before);
    return flags;
}
