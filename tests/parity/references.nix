# Where references are found, and between what.
{ sh, structured, busybox, dep, user, ... }:
{
  reference-in-file = { about = "a path in a file"; script = "echo ${dep} > $out"; };
  reference-in-binary = { about = "a path between other bytes"; script = "printf 'x\\0\\377%s\\0' ${dep}/file > $out"; };
  reference-in-name = { about = "a hash in a file's name"; script = "mkdir $out; echo x > $out/$(basename ${dep})"; };
  reference-in-link = { about = "a path that a link leads to"; script = "ln -s ${dep}/file $out"; };
  reference-to-itself = { about = "an output's own path"; script = "mkdir $out; echo $out > $out/file"; };
  reference-in-unreadable = { about = "a path in a file that nobody may read"; script = "echo ${dep} > $out; chmod 000 $out"; };
  reference-of-hash-alone = { about = "the hash part is enough"; script = "basename ${dep} | cut -c1-32 > $out"; };
  reference-of-part = { about = "a part of the hash is not"; script = "basename ${dep} | cut -c1-31 > $out"; };
  reference-in-capitals = { about = "nor the hash in capitals"; script = "basename ${dep} | tr a-z A-Z > $out"; };
  reference-across-blocks = {
    about = "a path across the borders of any blocks";
    script = "for size in 4090 65500 131050 262100; do dd if=/dev/zero bs=$size count=1 2> /dev/null; echo ${dep}; done > $out";
  };
  reference-not-direct = { about = "what an input needs is no reference of its own"; script = "cat ${user} > copy; echo ${user} > $out"; };
  reference-beyond = { about = "a path of the input's closure that is no input itself"; script = "cat ${user} > $out"; };
  references-across-outputs = {
    about = "from one output to another, and on";
    script = "echo $dev > $out; echo $doc > $dev; echo x > $doc";
    attrs.outputs = [ "out" "dev" "doc" ];
  };
  reference-to-derivation = { about = "to a derivation's file"; script = "echo ${user.drvPath} > $out"; };
  references-in-a-circle = {
    about = "two outputs that refer to each other";
    script = "echo $dev > $out; echo $out > $dev";
    attrs.outputs = [ "out" "dev" ];
    exits = 1;
    says = [ "cycle detected in build of" "in the references of output" ];
  };
  references-in-a-long-circle = {
    about = "three outputs in a circle";
    script = "echo $dev > $out; echo $doc > $dev; echo $out > $doc";
    attrs.outputs = [ "out" "dev" "doc" ];
    exits = 1;
    says = [ "cycle detected in build of" ];
  };
  references-discarded = {
    about = "unsafeDiscardReferences";
    drv = structured {
      name = "references-discarded";
      script = "echo ${dep} > $out";
      unsafeDiscardReferences.out = true;
    };
  };
  references-not-discarded = {
    about = "unsafeDiscardReferences of another output";
    drv = structured {
      name = "references-not-discarded";
      script = "echo ${dep} > $out; echo ${dep} > ${placeholder "dev"}";
      outputs = [ "out" "dev" ];
      unsafeDiscardReferences = { out = false; dev = true; };
    };
  };
}
