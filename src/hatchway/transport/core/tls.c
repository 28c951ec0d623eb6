/* Part of _core.c. TLS: OpenSSL's input and output; and contexts, a server's like that of server_tls.server_context,
   and a client's like that of Python's ssl.create_default_context. */

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
            /* OpenSSL compares each offered key with each group. */
            if (self->from[0] == SSL3_RT_HANDSHAKE && !self->is_client && !SSL_is_init_finished(self->ssl)
                && (self->handshake += length) > MOST_HANDSHAKE)
                return -1;
            self->record_left = HEADER + length;
            self->records++;
            if (length > SMALL) {
                self->budget--;
            } else {
                self->budget -= SMALL_COUNTS;
                self->small++;
            }
        }
        /* OpenSSL frees its memory after the last one. */
        if (self->from_size < self->record_left + HEADER)
            SSL_set_mode(self->ssl, SSL_MODE_RELEASE_BUFFERS);
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
    if (self->unread != NULL) {
        if (self->unread - OUT < (ptrdiff_t)(out_size + (size_t)size))
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

static int (*usual_security)(const SSL *, const SSL_CTX *, int, int, int, void *, void *);

/* OpenSSL's default groups without key agreement in finite fields (RFC 7919, groups 0x0100 to 0x01FF): one of those
   costs 5 to 170 ms, and anybody who connects can ask for it; curves cost 0.1 to 4. */
static int judge_security(const SSL *ssl, const SSL_CTX *ctx, int operation, int bits, int nid, void *other, void *extra)
{
    if ((operation & (int)SSL_SECOP_OTHER_TYPE) == SSL_SECOP_OTHER_CURVE && *(const unsigned char *)other == 1)
        return 0;
    return usual_security(ssl, ctx, operation, bits, nid, other, extra);
}

/* Context(certificate, key, ciphers, suites): a server's context, from two PEM files. `suites` are TLS 1.3's in order
   of preference, except that a client that prefers ChaCha20 gets that; None leaves them as in OpenSSL. */
static PyObject *context_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(keywords))
{
    PyObject *certificate = NULL, *key = NULL;
    const char *ciphers, *suites;
    if (!PyArg_ParseTuple(args, "O&O&sz", PyUnicode_FSConverter, &certificate, PyUnicode_FSConverter, &key, &ciphers,
                          &suites))
        return NULL;
    Context *self = (Context *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        Py_DECREF(certificate);
        Py_DECREF(key);
        return NULL;
    }
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
    usual_security = SSL_CTX_get_security_callback(ctx);
    SSL_CTX_set_security_callback(ctx, judge_security);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1
        || SSL_CTX_set_cipher_list(ctx, ciphers) != 1
        || (suites != NULL && SSL_CTX_set_ciphersuites(ctx, suites) != 1)
        || SSL_CTX_use_certificate_chain_file(ctx, PyBytes_AsString(certificate)) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, PyBytes_AsString(key), SSL_FILETYPE_PEM) != 1
        || SSL_CTX_check_private_key(ctx) != 1)
        goto failed;
    Py_DECREF(certificate);
    Py_DECREF(key);
    return (PyObject *)self;
failed:
    Py_DECREF(certificate);
    Py_DECREF(key);
    Py_DECREF(self);
    return raise_ssl();
}

static void context_dealloc(PyObject *self)
{
    SSL_CTX_free(((Context *)self)->ctx);
    dealloc(self);
}

/* client_context(files, directories, verify_flags, host_flags): the context of a client that trusts these certificates.
   Each is as in Python's ssl. */
static PyObject *client_context(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *files, *directories;
    unsigned long verify_flags;
    unsigned int host_flags;
    if (!PyArg_ParseTuple(args, "O!O!kI", &PyTuple_Type, &files, &PyTuple_Type, &directories, &verify_flags,
                          &host_flags))
        return NULL;
    Context *self = (Context *)PyType_GenericAlloc(context_type, 0);
    if (self == NULL)
        return NULL;
    self->is_client = 1;
    self->host_flags = host_flags;
    ERR_clear_error();
    SSL_CTX *ctx = self->ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        goto failed;
    SSL_CTX_set_options(ctx, SSL_OP_ALL | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET
                                 | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1
        || SSL_CTX_set_cipher_list(ctx, "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES"
                                        ":!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM") != 1
        || X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), verify_flags) != 1)
        goto failed;
    for (int kind = 0; kind < 2; kind++) {
        PyObject *names = kind ? directories : files;
        for (Py_ssize_t at = 0; at < PyTuple_Size(names); at++) {
            PyObject *path;
            if (!PyUnicode_FSConverter(PyTuple_GetItem(names, at), &path)) {
                Py_DECREF(self);
                return NULL;
            }
            const char *name = PyBytes_AsString(path);
            /* What cannot be read is no trust anchor. */
            SSL_CTX_load_verify_locations(ctx, kind ? NULL : name, kind ? name : NULL);
            Py_DECREF(path);
        }
    }
    ERR_clear_error();
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return raise_ssl();
}

/* session(): a server's session; or session(name): a client's session with a peer that must prove to have that name. It
   reads from and writes to two queues of its own, `incoming` and `outgoing`. */
static PyObject *context_session(PyObject *object, PyObject *args)
{
    Context *context = (Context *)object;
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, context->is_client ? "s" : "", &name))
        return NULL;
    /* OpenSSL takes an empty name for any name, and one that begins with a dot for any name below it. */
    if (name != NULL && (name[0] == '\0' || name[0] == '.')) {
        PyErr_SetString(PyExc_ValueError, "a host's name is not empty, and begins with no dot");
        return NULL;
    }
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
    self->ssl = SSL_new(context->ctx);
    self->is_client = context->is_client;
    BIO *bio = self->ssl == NULL ? NULL : BIO_new(bio_method);
    if (bio == NULL) {
        Py_DECREF(self);
        return raise_ssl();
    }
    BIO_set_data(bio, self);
    BIO_set_init(bio, 1);
    SSL_set_bio(self->ssl, bio, bio);
    if (name == NULL) {
        SSL_set_accept_state(self->ssl);
        return (PyObject *)self;
    }
    SSL_set_connect_state(self->ssl);
    X509_VERIFY_PARAM *verify = SSL_get0_param(self->ssl);
    X509_VERIFY_PARAM_set_hostflags(verify, context->host_flags);
    /* An address is not sent as the server's name (RFC 6066 section 3). */
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, name) != 1
        && (X509_VERIFY_PARAM_set1_host(verify, name, 0) != 1 || SSL_set_tlsext_host_name(self->ssl, name) != 1)) {
        Py_DECREF(self);
        return raise_ssl();
    }
    ERR_clear_error();
    return (PyObject *)self;
}

static PyMethodDef context_methods[] = {
    {"session", context_session, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot context_slots[] = {
    {Py_tp_new, context_new}, {Py_tp_dealloc, context_dealloc}, {Py_tp_methods, context_methods}, {0, NULL},
};
static PyType_Spec context_spec = {
    "hatchway.transport.core._core.Context", sizeof(Context), 0, Py_TPFLAGS_DEFAULT, context_slots};
