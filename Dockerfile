# One target an image: docker build --target operator|scores|migrate --build-arg VERSION=0.1.0 .
#
# `make images` and `make release` build the same images without a container engine; a test compares the two, and `make dockerfile`
# builds this and compares the programs.

# What everything begins with, by full versions, so that the same commit is built by the same compiler. A mirror or a digest can be named instead:
# --build-arg GO_IMAGE=mirror.example.com/golang@sha256:...
ARG GO_IMAGE=golang:1.26.11-bookworm
ARG DEBIAN_IMAGE=debian:12.15-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY config/rbac config/rbac
COPY controllers controllers
COPY plugin plugin
COPY service service
ENV CGO_ENABLED=0
ARG VERSION=dev
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/operator
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/ ./cmd/scores
# PostgreSQL's grammar, by which migrations are judged, is C; it is linked statically.
RUN CGO_ENABLED=1 CGO_CFLAGS="-O1 -g0" go build -trimpath -buildvcs=false -tags netgo,osusergo \
	-ldflags "-s -w -linkmode external -extldflags -static" -o /out/ ./cmd/mirubato-migrate

FROM scratch AS operator
ARG VERSION=dev
LABEL org.opencontainers.image.title="mirubato-operator" org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.description="Carries Microservices through their environments, migrations and settings included" \
	org.opencontainers.image.vendor="Mirubato" org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /LICENSE
COPY --from=build /out/operator /operator
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/operator"]

FROM scratch AS scores
ARG VERSION=dev
LABEL org.opencontainers.image.title="mirubato-scores" org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.description="A library of sheet music: the sample service that Mirubato runs" \
	org.opencontainers.image.vendor="Mirubato" org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /LICENSE
COPY --from=build /out/scores /scores
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/scores"]
CMD ["serve"]

# The programs that back up and restore must not be older than the server that they meet.
FROM ${DEBIAN_IMAGE} AS migrate
ARG VERSION=dev
LABEL org.opencontainers.image.title="mirubato-migrate" org.opencontainers.image.version="${VERSION}" \
	org.opencontainers.image.description="Migrations, backups and rehearsals of PostgreSQL databases" \
	org.opencontainers.image.vendor="Mirubato"
# Debian would make a database and a key of it, the same for everybody who has the image.
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-common \
	&& echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf \
	&& apt-get install --yes --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* /etc/ssl/private/ssl-cert-snakeoil.key \
	&& groupadd --gid 65532 nonroot && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /tmp nonroot
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin LANG=C.UTF-8
COPY LICENSE /LICENSE
COPY --from=build /out/mirubato-migrate /mirubato-migrate
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/mirubato-migrate"]
