# A fixed output: text that compresses well, whose hash is known beforehand.
{ sh, ... }:
sh {
  name = "corpus";
  outputHashMode = "flat";
  outputHash = "sha256-JgkpS9RX7ftd20FALJR0jqdtSKm9T/ixRZN7u5WavIA=";
  script = ''
    awk 'BEGIN { for (i = 0; i < 20000; i++) printf "%d %x the quick brown fox %d\n", i, i * 2654435761 % 65536, i % 97 }' > $out
  '';
}
