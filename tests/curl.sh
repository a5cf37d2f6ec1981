#!/usr/bin/env bash
# Files of awkward sizes, and one of 3 GiB with 200 random ranges of it, in and out of a running vault by curl alone,
# beside sha256sum and dd.
#
#   EMAIL=owner@example.org PASSWORD=... tests/curl.sh http://localhost:8080 [BYTES]
#
# What it uploads goes into a new folder, which it discards to the trash at the end. Needs 3 GiB of room beside the vault's.
set -euo pipefail

url=${1:?usage: EMAIL=... PASSWORD=... tests/curl.sh URL [BYTES]}/api/v1
large=${2:-$((3 << 30))}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

printf '{"email":"%s","password":"%s","transport":"bearer"}' "$EMAIL" "$PASSWORD" > "$work/login"
token=$(curl -fsS "$url/session" -H 'Content-Type: application/json' -d "@$work/login" | field access_token)
printf 'header = "Authorization: Bearer %s"\n' "$token" > "$work/curl"
rm "$work/login"
ask() { curl -fsS -K "$work/curl" "$@"; }

folder=$(ask "$url/folders" -H 'Content-Type: application/json' -d "{\"parent\":\"root\",\"name\":\"curl $$\"}" | field id)

# Uploads a file of so many random bytes, compares what comes back, and leaves the file's id in $id.
round_trip() {
    head -c "$1" /dev/urandom > "$work/file"
    id=$(ask -X POST "$url/folders/$folder/files?name=$1" -H 'Content-Type: application/octet-stream' \
        -H 'Expect:' -T "$work/file" | field id)
    here=$(sha256sum < "$work/file")
    there=$(ask "$url/files/$id/content" | sha256sum)
    [[ $here == "$there" ]] || { echo "$1 bytes: other bytes came back"; exit 1; }
    echo "$1 bytes: SHA-256 ${here%% *}"
}

part=$((8 << 20))
for size in 0 1 16383 16384 16385 $((part - 1)) $part $((part + 1)) "$large"; do
    round_trip "$size"
done

for _ in $(seq 200); do
    start=$(((RANDOM << 30 | RANDOM << 15 | RANDOM) % large))
    length=$(((RANDOM << 15 | RANDOM) % (large - start < 20000000 ? large - start : 20000000) + 1))
    dd if="$work/file" bs=1M iflag=skip_bytes,count_bytes skip=$start count=$length status=none \
        | cmp - <(ask -r "$start-$((start + length - 1))" "$url/files/$id/content") \
        || { echo "bytes $start to $((start + length - 1)) differ"; exit 1; }
done
echo "200 random ranges of $large bytes equal dd's"
ask -X DELETE "$url/nodes/$folder" > "$work/answer"
