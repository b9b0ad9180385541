# What a builder sees of the store and of the machine.
{ sh, busybox, dep, user, parts, ... }:
{
  input-closure = {
    about = "the store holds the closure of the inputs and nothing else";
    script = "ls /nix/store > listing; cp listing $out";
    attrs.input = user;
  };
  input-of-one-output = {
    about = "of a derivation with two outputs only the one that was asked for is there";
    script = "cat ${parts.dev}; ls /nix/store | grep parts > $out";
  };
  input-text = {
    about = "a text from the expression is a file in the store";
    script = "cat ${builtins.toFile "text" "a text\n"} > $out";
  };
  input-link = {
    about = "an input that is a symbolic link is shown as one";
    script = "readlink $link > $out; ls -ld $link | cut -c1-10 >> $out; cat $link/file >> $out";
    attrs.link = sh { name = "link"; script = "ln -s ${dep} $out"; };
  };
  input-dangling-link = {
    about = "an input may be a link to nowhere";
    script = "readlink $link > $out; test ! -e $link";
    attrs.link = sh { name = "dangling"; script = "ln -s /nowhere $out"; };
  };
  input-file = {
    about = "an input that is a plain file with its mode and time";
    script = "stat -c '%A %h %s %Y %u %g' $file ${dep} ${dep}/file > $out";
    attrs.file = user;
  };
  input-unchangeable = {
    about = "nothing can be done to an input";
    script = ''
      try() { if "$@" 2> /dev/null; then echo "$@: done"; else echo "$@: refused"; fi; }
      {
        try sh -c 'echo x > $0' ${dep}/file
        try sh -c 'echo x > $0' ${dep}/new
        try mkdir ${dep}/new
        try rm -f ${dep}/file
        try chmod 777 ${dep}
        try touch ${dep}/file
        try ln ${dep}/file $TMPDIR/linked
        try mv ${dep} $TMPDIR/moved
        try ln -s x ${dep}/link
      } | sed 's,/nix/store/[a-z0-9]*-,,g' > $out
    '';
  };
  input-optimised = {
    about = "inputs whose equal files are one file are read as usual";
    script = "cat $one $two ${dep}/file > $out";
    attrs = {
      one = sh { name = "one"; script = "echo the same text in both > $out"; };
      two = sh { name = "two"; script = "echo the same text in both > $out"; };
    };
    steps = [
      {
        before = "nix-store --realise $(nix-store --query --references $drv | grep -E -- '-(one|two).drv$') > /dev/null 2>&1; nix-store --optimise 2> /dev/null";
      }
    ];
  };
  undeclared = {
    about = "a path of the store that is no input is not there";
    script = "if [ -e $hidden ] || cat $hidden/file; then exit 1; fi 2> /dev/null; echo hidden > $out";
    attrs.hidden = builtins.unsafeDiscardStringContext dep.outPath;
    steps = [ { before = "nix-store --realise ${dep.drvPath} > /dev/null 2>&1"; } ];
  };
  writing-elsewhere = {
    about = "a builder writes to its directory, to /tmp and to new names in the store only";
    script = ''
      for place in / /bin /etc /dev /nix /proc /nix/store /tmp /build /dev/shm /no-such-directory; do
        if echo x > $place/written; then echo "$place: done"; else echo "$place: refused"; fi
      done 2> /dev/null > listing
      rm -f /nix/store/written
      cp listing $out
    '';
  };
  machine = {
    about = "the machine's own directories are not there";
    script = "for path in /home /root /usr /lib /var /sys /opt /run /boot /mnt; do test -e $path && echo $path; done > $out || true";
  };
  network = {
    about = "there is a loopback interface and no other";
    script = "cut -d: -f1 /proc/net/dev | tail -n +3 > $out; nc -l -p 80 < /dev/null > heard & sleep 0.1; echo said | nc -w 1 127.0.0.1 80 || true; wait; cat heard >> $out";
  };
  network-outside = {
    about = "nothing outside can be reached";
    script = "nc -w 1 192.0.2.1 80 < /dev/null && exit 1; echo none > $out";
  };
}
