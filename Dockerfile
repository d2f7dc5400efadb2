# The broker in an image that holds it, the shared libraries it needs, the certificates of public authorities, and
# nothing else: no shell, no package manager, no root. Build from the top of the repository:
#
#   docker build --tag token-broker .
#   docker run --read-only --cap-drop ALL --publish 127.0.0.1:8080:8080 --publish 127.0.0.1:8081:8081 token-broker dev

# A tag can be moved, a digest cannot: --build-arg BASE=swift@sha256:…
ARG BASE=swift:6.3-bookworm
FROM ${BASE} AS build
# A pipe fails as any part of it does.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]

COPY deploy/packages.txt /tmp/
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      $(awk '/^#/ { on = $2 == "build:" || $2 == "container:" } !/^#/ && on' /tmp/packages.txt) \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /src
# Before the sources, so that a change of those fetches nothing.
COPY Package.swift ./
RUN swift package resolve

# Of Tests only empty folders come along (.dockerignore): Package.swift names them.
COPY . .
RUN swift build -c release --static-swift-stdlib --product token-broker \
 && install -D "$(swift build -c release --static-swift-stdlib --show-bin-path)/token-broker" /image/bin/token-broker \
 && strip /image/bin/token-broker

# The libraries by their names at run time, and the records of their packages, from which scanners know what is inside.
RUN set -eu; \
    mkdir -p /image/tree/var/lib/dpkg/status.d /image/tree/etc/ssl/certs; \
    libraries="$(ldd /image/bin/token-broker | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }')"; \
    cp --dereference --parents $libraries /image/tree; \
    for library in $libraries; do dpkg-query --search "*/$(basename "$(readlink -f "$library")")"; done \
      | cut -d: -f1 | { cat; echo ca-certificates; } | sort -u \
      | while read -r package; do \
          dpkg-query --status "$package" > "/image/tree/var/lib/dpkg/status.d/$package"; \
          cp --dereference --parents "/usr/share/doc/$package/copyright" /image/tree || true; \
        done; \
    cp --dereference /etc/ssl/certs/ca-certificates.crt /image/tree/etc/ssl/certs/; \
    cp --parents /etc/os-release /image/tree; \
    echo 'hosts: files dns' > /image/tree/etc/nsswitch.conf; \
    echo 'nonroot:x:65532:65532::/:/' > /image/tree/etc/passwd; \
    echo 'nonroot:x:65532:' > /image/tree/etc/group

FROM scratch
# The libraries apart from the broker: a new version of it is one small layer.
COPY --from=build /image/tree /
COPY --from=build /image/bin /usr/local/bin
ENV PATH=/usr/local/bin
# In a container loopback is for nobody else. Set BROKER_LISTEN to nothing where a file's `listen` is to hold. The admin
# listener is for probes, metrics and people: publish it to the host's loopback only.
ENV BROKER_LISTEN=0.0.0.0:8080 BROKER_ADMIN_LISTEN=0.0.0.0:8081
EXPOSE 8080 8081
USER 65532:65532
STOPSIGNAL SIGTERM
# It asks the admin listener, and where there is none the main one as the configuration has it: with TLS or a Unix socket, too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["token-broker", "health"]
ENTRYPOINT ["token-broker"]

ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="token-broker" \
      org.opencontainers.image.description="Gives internal services Auth0 access tokens; the client secret stays here." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
