#!/bin/sh
# Makes the certificates that the examples name, with openssl: an authority (ca.pem), two for a server (ECDSA and RSA), one
# for a client, and a secret for session tickets. They are for trying things out and good for a month.
set -eu
cd "$(dirname "$0")"

ecdsa="-newkey ec -pkeyopt ec_paramgen_curve:P-256"
rsa="-newkey rsa:2048"

# sign NAME KEY SUBJECT EXTENSIONS
sign() {
    openssl req $2 -nodes -keyout "$1.key" -subj "$3" -out "$1.csr" 2>/dev/null
    printf '%s\n' "$4" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
    rm "$1.csr" "$1.ext"
}

umask 077
openssl req -x509 $ecdsa -nodes -keyout ca.key -out ca.pem -days 30 -subj "/CN=An authority for trying things out" 2>/dev/null
names="subjectAltName=DNS:example.com,DNS:*.example.com,DNS:localhost"
sign example.com "$ecdsa" "/CN=example.com" "$names"
sign example.com-rsa "$rsa" "/CN=example.com" "$names"
sign client "$ecdsa" "/CN=billing.apps.internal" "subjectAltName=DNS:billing.apps.internal
extendedKeyUsage=clientAuth"
openssl rand 80 > tickets.key
echo "made: $(ls *.pem *.key | tr '\n' ' ')"
