# The dagtel command in an image without a shell: docker build -t dagtel:0.1.0 .
FROM rust:1.91-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p dagtel-cli

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/dagtel /usr/local/bin/dagtel
ENTRYPOINT ["/usr/local/bin/dagtel"]
