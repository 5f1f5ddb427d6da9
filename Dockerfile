# The image for people with Docker: `docker build -t batch-on-kafka .`
#
# Its one layer has the same content as the image that the local stack makes without Docker (see
# e2e/stack/src/image.rs): the binaries, the libraries `ldd` names, a user without rights, the trusted
# authorities; no shell, no package manager. It cannot be built where there is no container registry, so the
# project's own tests run the stack's image, not this one.

FROM rust:1.95-slim-bookworm AS build
# librdkafka is compiled from the crate's sources.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates g++ libssl-dev make pkg-config zlib1g-dev
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p operator -p ingest-api -p worker -p cli
WORKDIR /image
RUN mkdir -p usr/bin etc/ssl/certs && mkdir -m 1777 tmp \
 && cd /src/target/release && cp operator ingest-api worker batch /image/usr/bin/ && cd /image \
 && for binary in usr/bin/*; do ldd "$binary"; done | grep -o '/[^ ]*' | sort -u \
    | while read -r library; do install -D "$library" "./$library"; done \
 && cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/root:/sbin/nologin\nbatch:x:65532:65532:batch:/:/sbin/nologin\n' > etc/passwd \
 && printf 'root:x:0:\nbatch:x:65532:\n' > etc/group \
 && printf 'hosts: files dns\n' > etc/nsswitch.conf

FROM scratch
COPY --from=build /image /
USER 65532:65532
# No entrypoint: the chart names the program, /usr/bin/operator, ingest-api or worker.
