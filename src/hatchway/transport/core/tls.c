/* Part of _core.c. The server's TLS: what OpenSSL reads from and writes to, and the context, as
   server_tls.server_context makes it. */

static int openssl_reads(BIO *bio, char *to, int size)
{
    Session *self = BIO_get_data(bio);
    size_t most = size > 0 ? (size_t)size : 0;
    BIO_clear_retry_flags(bio);
    if (self->from == NULL) {
        most = least(most, self->incoming->end - self->incoming->start);
        if (most) {
            memcpy(to, self->incoming->bytes + self->incoming->start, most);
            queue_skip(self->incoming, most);
        }
    } else {
        if (self->record_left == 0 && self->from_size >= HEADER && self->budget > 0) {
            size_t length = (size_t)self->from[3] << 8 | self->from[4];
            self->record_left = HEADER + length;
            self->records++;
            if (length > SMALL) {
                self->budget--;
            } else {
                self->budget -= SMALL_COUNTS;
                self->small++;
            }
        }
        most = least(most, least(self->record_left, self->from_size));
        memcpy(to, self->from, most);
        self->from += most;
        self->from_size -= most;
        self->record_left -= most;
    }
    if (most)
        return (int)most;
    BIO_set_retry_read(bio);
    return -1;
}

static int openssl_writes(BIO *bio, const char *from, int size)
{
    Session *self = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (self->is_pushing) {
        if (sizeof OUT - out_size < (size_t)size)
            return -1;
        memcpy(OUT + out_size, from, (size_t)size);
        out_size += (size_t)size;
    } else if (queue_append(self->outgoing, from, (size_t)size)) {
        return -1;
    }
    return size;
}

static long openssl_controls(BIO *Py_UNUSED(bio), int command, long Py_UNUSED(number), void *Py_UNUSED(pointer))
{
    return command == BIO_CTRL_FLUSH;
}

static int no_password(char *Py_UNUSED(to), int Py_UNUSED(size), int Py_UNUSED(writes), void *Py_UNUSED(data))
{
    return -1;
}

/* Context(certificate, key, ciphers, suites): a server's, of two PEM files. `suites` are TLS 1.3's in the order to choose by,
   for which a client that has ChaCha20 first gets that; None leaves them as OpenSSL has them. */
static PyObject *context_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    const char *certificate, *key, *ciphers, *suites;
    if (!PyArg_ParseTuple(args, "sssz", &certificate, &key, &ciphers, &suites))
        return NULL;
    Context *self = (Context *)PyType_GenericAlloc(type, 0);
    if (self == NULL)
        return NULL;
    ERR_clear_error();
    SSL_CTX *ctx = self->ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        goto failed;
    SSL_CTX_set_options(ctx, SSL_OP_ALL | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                                 | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    if (suites != NULL)
        SSL_CTX_set_options(ctx, SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1
        || SSL_CTX_set_cipher_list(ctx, ciphers) != 1
        || (suites != NULL && SSL_CTX_set_ciphersuites(ctx, suites) != 1)
        || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        goto failed;
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return raise_ssl();
}

static void context_dealloc(PyObject *self)
{
    SSL_CTX_free(((Context *)self)->ctx);
    dealloc(self);
}

/* session(): a server's. It reads from and writes to two queues of its own, `incoming` and `outgoing`. */
static PyObject *context_session(PyObject *context, PyObject *Py_UNUSED(ignored))
{
    Session *self = (Session *)PyType_GenericAlloc(session_type, 0);
    if (self == NULL)
        return NULL;
    self->incoming = (Queue *)PyType_GenericAlloc(queue_type, 0);
    self->outgoing = (Queue *)PyType_GenericAlloc(queue_type, 0);
    if (self->incoming == NULL || self->outgoing == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    ERR_clear_error();
    self->ssl = SSL_new(((Context *)context)->ctx);
    BIO *bio = self->ssl == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL) {
        Py_DECREF(self);
        return raise_ssl();
    }
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    SSL_set_bio(self->ssl, bio, bio);
    SSL_set_accept_state(self->ssl);
    return (PyObject *)self;
}

static PyMethodDef context_methods[] = {
    {"session", context_session, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot context_slots[] = {
    {Py_tp_new, context_new}, {Py_tp_dealloc, context_dealloc}, {Py_tp_methods, context_methods}, {0, NULL},
};
static PyType_Spec context_spec = {
    "hatchway.transport.core._core.Context", sizeof(Context), 0, Py_TPFLAGS_DEFAULT, context_slots};
