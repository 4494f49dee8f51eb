# syntax=docker/dockerfile:1
# Two images, each one static program and nothing else:
#   docker buildx build --target operator --platform linux/amd64,linux/arm64 .
#   docker buildx build --target ra       --platform linux/amd64,linux/arm64 .

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS source
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY internal internal
COPY controllers controllers
COPY cmd cmd

FROM source AS build-operator
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /out/operator ./cmd/operator

FROM source AS build-ra
ARG TARGETOS TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w" -o /out/ra ./cmd/ra

FROM scratch AS operator
COPY --from=build-operator /out/operator /operator
USER 65532:65532
ENTRYPOINT ["/operator"]

FROM scratch AS ra
# The roots by which the RA believes a policy service's TLS certificate.
COPY --from=build-ra /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build-ra /out/ra /ra
USER 65532:65532
ENTRYPOINT ["/ra"]
