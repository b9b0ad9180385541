# What is built while loopbox is killed: many files, large ones, several outputs, a child in the background.
{ busybox }:
let
  shell = "${builtins.storePath busybox}/bin/busybox";
  make =
    name: outputs: inputs: script:
    derivation {
      inherit name outputs inputs;
      system = builtins.currentSystem;
      builder = shell;
      args = [ "sh" "-e" "-c" script ];
      PATH = "${builtins.storePath busybox}/bin";
    };
  files = make "files" [ "out" ] [ ] ''
    mkdir -p $out/a/b
    for i in $(seq 150); do echo $i > $out/a/$i; ln $out/a/$i $out/a/b/$i; done
    for i in $(seq 100); do ln -s $out/a/$i $out/$i; done
    chmod -R a-w $out/a/b
  '';
  large = make "large" [ "out" "dev" ] [ ] ''
    mkdir $out $dev
    dd if=/dev/zero of=$out/zeros bs=64k count=200
    dd if=$out/zeros of=$dev/zeros bs=64k count=100
    echo $out > $dev/where
  '';
  background = make "background" [ "out" ] [ ] ''
    (while :; do echo still here; usleep 20000; done) > heartbeat &
    (trap "" TERM INT HUP; sleep 1000) &
    mkdir $out
    for i in $(seq 40); do echo $i > $out/$i; usleep 20000; done
    grep -q still heartbeat
  '';
in
make "all" [ "out" ] [ files large.out large.dev background ] ''
  mkdir $out
  for input in $inputs; do echo $input >> $out/inputs; done
  cp -r ${files}/a $out/a
  chmod -R u+w $out/a
  mv $out/a $out/b
''
