# One target an image: docker build --target operator|scores|migrate .
#
# `make images` builds the same images without a container engine; the build commands are those of hack/images.

FROM golang:1.26 AS build
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
RUN go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/ ./cmd/operator ./cmd/scores
# PostgreSQL's grammar, by which migrations are judged, is C; it is linked statically.
RUN CGO_ENABLED=1 CGO_CFLAGS="-O1 -g0" go build -trimpath -buildvcs=false -tags netgo,osusergo \
	-ldflags "-s -w -linkmode external -extldflags -static" -o /out/ ./cmd/mirubato-migrate

FROM scratch AS operator
COPY --from=build /out/operator /operator
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/operator"]

FROM scratch AS scores
COPY --from=build /out/scores /scores
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/scores"]
CMD ["serve"]

# The programs that back up and restore must not be older than the server that they meet.
FROM debian:bookworm-slim AS migrate
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* \
	&& groupadd --gid 65532 nonroot && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /tmp nonroot
ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
COPY --from=build /out/mirubato-migrate /mirubato-migrate
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/mirubato-migrate"]
