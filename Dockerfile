# The image of argiope: Debian and one binary more, run by a user who owns nothing but /data.
#
#   docker build -t argiope .                      from the sources
#   docker build -t argiope --target prebuilt .    with ops/image/argiope, a binary that was built for Debian 12
#
# The classic builder makes every stage above its target: so `prebuilt` stands above the sources' stage, and is a
# stage that can be made without the binary.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin argiope \
    && install --directory --owner=argiope --group=argiope /data
# What a node fetches goes to /data/CRAWL/NODE/; metrics are for the container's network.
ENV ARGIOPE_OUTPUT=/data \
    ARGIOPE_METRICS_LISTEN=0.0.0.0:9100
WORKDIR /data
USER argiope
EXPOSE 9100
# SIGTERM drains: leases go back, files are sealed (30 s at most, so give a stop 40).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["argiope"]
CMD ["node"]

FROM base AS prebuilt
COPY ops/image/ /usr/local/bin/

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# Without the tables of lines, which are four fifths of the binary.
RUN CARGO_PROFILE_RELEASE_STRIP=debuginfo cargo build --release --locked --package argiope

FROM base AS built
COPY ops/image/healthcheck /usr/local/bin/
COPY --from=build /src/target/release/argiope /usr/local/bin/
