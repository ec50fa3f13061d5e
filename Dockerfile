# One target an image: docker build --target operator|scores|migrate .
#
# `make images` builds the same images without a container engine; the build commands are those of hack/images.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY cmd cmd
COPY controllers controllers
COPY service service
ENV CGO_ENABLED=0
RUN go build -trimpath -buildvcs=false -ldflags "-s -w" -o /out/ ./cmd/operator ./cmd/scores ./cmd/mirubato-migrate

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

FROM scratch AS migrate
COPY --from=build /out/mirubato-migrate /mirubato-migrate
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/mirubato-migrate"]
