# What an output may be, and what becomes of it.
{ sh, busybox, dep, ... }:
let
  # What the store makes of the metadata.
  metadata = "find $out | sort | xargs stat -c '%n %f %Y %u %g %h'";
  suspicious = {
    exits = 1;
    says = [ "suspicious ownership or permission" ];
  };
  unsupported = {
    exits = 1;
    says = [ "unsupported type" ];
  };
in
{
  output-file = { about = "a plain file"; script = "echo x > $out"; look = metadata; };
  output-executable = { about = "an executable file"; script = "echo x > $out; chmod 755 $out"; look = metadata; };
  output-directory = { about = "a directory"; script = "mkdir -p $out/a/b; echo x > $out/a/b/c"; look = metadata; };
  output-link = { about = "a link to an input"; script = "ln -s ${dep} $out"; look = metadata; };
  output-dangling = { about = "a link to nowhere"; script = "ln -s /no/where $out"; look = metadata; };
  output-link-to-itself = { about = "a link to itself"; script = "ln -s $out $out"; };
  output-empty-file = { about = "an empty file"; script = "> $out"; };
  output-empty-directory = { about = "an empty directory, and empty ones in it"; script = "mkdir -p $out/a $out/b/c"; };
  output-missing = {
    about = "an output that is not made is refused";
    script = "true";
    exits = 1;
    says = [ "failed to produce output path for output 'out'" ];
  };
  outputs-several = {
    about = "several outputs";
    script = "mkdir $out; echo a > $out/a; echo b > $dev; ln -s x $doc";
    attrs.outputs = [ "out" "dev" "doc" ];
  };
  outputs-first-is-not-out = {
    about = "the first output may have another name";
    script = "echo a > $bin; echo b > $lib";
    attrs.outputs = [ "bin" "lib" ];
  };
  outputs-one-missing = {
    about = "one of several outputs is missing, and none is registered";
    script = "echo a > $out";
    attrs.outputs = [ "out" "dev" ];
    exits = 1;
    says = [ "failed to produce output path for output 'dev'" ];
  };
  output-modes = {
    about = "modes become 0444 or 0555, times the first second";
    script = ''
      mkdir $out; cd $out
      for mode in 000 100 200 400 444 500 644 666 755 777 010 001; do echo $mode > $mode; chmod $mode $mode; done
      mkdir closed sticky wide; chmod 000 closed; chmod 1777 sticky; chmod 777 wide
      touch -d '2020-01-02 03:04:05' 644 wide
    '';
    look = metadata;
  };
  output-silly-names = {
    about = "files that are named like deleted ones that an NFS client has open, and one that is such a file";
    script = ''
      mkdir -p $out/d; name=.nfs000000000076202f00000088
      echo x > $out/d/$name; cp -r $out/d $out/copy; echo "none like it" > plain; mv plain $out/$name
      exec 3> $out/open; echo open >&3; rm $out/open
    '';
    look = metadata;
  };
  output-unreadable = { about = "a file that nobody may read"; script = "echo x > $out; chmod 000 $out"; };
  output-set-id = {
    about = "set-id bits cannot be given";
    script = ''
      echo x > $out
      for mode in 4755 2755 6755; do chmod $mode $out 2> /dev/null && echo "$mode: done" >> $out; done
      stat -c %a $out >> $out
    '';
  };
  output-group-writable = { about = "the group could have written it"; script = "mkdir $out; chmod 775 $out"; } // suspicious;
  output-world-writable = { about = "everybody could have written it"; script = "echo x > $out; chmod 666 $out"; } // suspicious;
  output-writable-inside = { about = "what lies deeper may be writable"; script = "mkdir -p $out/a; chmod 777 $out/a; chmod 755 $out"; };
  output-odd-names = {
    about = "names with spaces, line ends, quotes, dots and other letters";
    script = ''
      mkdir $out; cd $out
      for name in ' ' 'a b' "a'b" 'a"b' 'a\b' '.a' '...' '-x' 'größe' '尺寸' '~nix~case~hack~1' 'a
      b'; do echo "$name" > "./$name"; done
    '';
  };
  output-bytes-in-names = {
    about = "names that are no UTF-8";
    script = ''mkdir $out; echo x > "$out/$(printf 'a\377b')"; ln -s "$(printf '\376')" "$out/$(printf '\001')"'';
  };
  output-long-names = {
    about = "a name of 255 bytes, and a link of 4000";
    script = ''
      mkdir $out
      name=$(printf '%0255d' 1); echo x > $out/$name
      ln -s $(printf '%04000d' 1) $out/link
    '';
  };
  output-order = { about = "the archive's order is that of the bytes"; script = "mkdir $out; cd $out; for name in b a C é B c ab a.b a-b 10 9; do echo $name > $name; done"; };
  output-deep = {
    about = "as deep as Nix itself can archive";
    script = "mkdir $out; cd $out; for i in $(seq 62); do mkdir d; cd d; done; echo x > file";
  };
  output-too-deep = {
    about = "deeper than that";
    script = "mkdir $out; cd $out; for i in $(seq 63); do mkdir d; cd d; done; echo x > file";
    exits = 1;
    says = [ "exceeds maximum NAR directory depth of 64" ];
  };
  output-many = { about = "five hundred files in a directory"; script = "mkdir $out; cd $out; for i in $(seq 500); do echo $i > file$i; done"; };
  output-sparse = { about = "a file with a hole"; script = "dd if=/dev/zero of=$out bs=1 count=1 seek=3000000 2> /dev/null; true"; };
  output-hard-links = { about = "one file of two names"; script = "mkdir $out; echo x > $out/a; ln $out/a $out/b"; look = metadata; };
  output-hard-links-across = {
    about = "one file of names in two outputs";
    script = "mkdir $out $dev; echo x > $out/a; ln $out/a $dev/a; echo y > $dev/b; chmod 755 $dev/b; ln $dev/b $out/b";
    attrs.outputs = [ "out" "dev" ];
    look = metadata;
  };
  output-linked-input = {
    about = "an input's file cannot be linked into an output";
    script = "mkdir $out; if ln ${dep}/file $out/file 2> /dev/null; then exit 1; fi; echo refused > $out/answer";
  };
  output-fifo = { about = "a FIFO"; script = "mkfifo $out"; } // unsupported;
  output-fifo-inside = { about = "a FIFO in a directory"; script = "mkdir $out; mkfifo $out/fifo"; } // unsupported;
  output-device = {
    about = "a device cannot be made";
    script = "mkdir $out; if mknod $out/null c 1 3 2> /dev/null; then exit 1; fi; echo refused > $out/answer";
  };
  output-renamed = { about = "made elsewhere and renamed"; script = "mkdir $out.tmp; echo x > $out.tmp/file; mv $out.tmp $out"; };
  output-moved-from-build = { about = "moved from the build directory"; script = "mkdir made; echo x > made/file; mv made $out"; };
  output-besides = { about = "what else is left in the store is forgotten"; script = "echo x > $out; echo y > $out-besides"; look = "ls -d $out*"; };
  output-open = {
    about = "written by a process that holds it open and has removed another open file";
    script = "mkdir $out; exec 8> $out/open 9> $out/removed; echo a >&8; rm $out/removed; echo b >&9; echo c >&8";
  };
  output-appended = { about = "written in pieces by several processes"; script = "for i in 1 2 3 4 5; do echo $i >> $out; done; (echo six >> $out) & wait"; };
  output-case = { about = "names that differ in case only"; script = "mkdir $out; echo a > $out/a; echo A > $out/A"; };
  output-odd-derivation-name = {
    about = "a derivation's name may have all of its letters";
    drv = sh { name = "a+b-c._?=9"; script = "echo x > $out"; };
  };
}
