# What a builder is given: variables, files, arguments, streams.
{ sh, structured, busybox, dep, user, ... }:
let
  print = "env | sort > $out";
in
{
  env-defaults = {
    about = "the variables that every builder has";
    script = print;
  };
  env-overridden = {
    about = "which of them a derivation can set, and which not";
    script = "/bin/sh -c true 2> /dev/null || true; ${busybox}/bin/env | ${busybox}/bin/sort > $out";
    attrs = {
      PATH = "/mine";
      HOME = "/mine";
      NIX_STORE = "/mine";
      NIX_BUILD_CORES = "77";
      NIX_BUILD_TOP = "/mine";
      TMPDIR = "/mine";
      PWD = "/mine";
      TERM = "mine";
      NIX_LOG_FD = "7";
    };
  };
  env-odd-values = {
    about = "empty values, spaces, line ends, quotes and bytes beyond ASCII arrive as they are";
    script = ''printf '%s|' "$empty" "$spaces" "$lines" "$quotes" "$other" > $out'';
    attrs = { empty = ""; spaces = "  a  b "; lines = "a\nb\n"; quotes = "a'b\"c\\d$e"; other = "größe 尺寸"; };
  };
  env-odd-names = {
    about = "names that no shell could set arrive too";
    script = "tr '\\0' '\\n' < /proc/self/environ | grep = | sort > $out";
    attrs = { "with-dash" = "1"; "with.dot" = "2"; "größe" = "3"; "_" = "4"; };
  };
  env-types = {
    about = "lists, numbers, booleans, null and paths become texts";
    script = ''echo "$list|$number|$yes|$no|$nothing" > $out'';
    attrs = { list = [ "a" "b" 3 ]; number = 42; yes = true; no = false; nothing = null; };
  };
  env-cores-option = {
    about = "the cores that the caller allows";
    script = "echo $NIX_BUILD_CORES > $out";
    steps = [ { words = [ "--cores" "3" ]; } ];
  };
  env-cores-setting = {
    about = "the cores that the settings allow";
    script = "echo $NIX_BUILD_CORES > $out";
    conf = "cores = 5";
  };
  arguments = {
    about = "empty and odd arguments arrive as they are, and the name that the builder is called by";
    drv = derivation {
      name = "arguments";
      system = "x86_64-linux";
      builder = "${busybox}/bin/sh";
      args = [ "-c" "${busybox}/bin/tr '\\0' '\\n' < /proc/$$/cmdline > $out" "" "a b" "c\nd" "größe" ];
    };
  };
  placeholders = {
    about = "placeholders become the output's path in arguments and variables";
    script = "echo ${placeholder "out"} > $out; test \"$where\" = \"$out/below\"";
    attrs.where = "${placeholder "out"}/below";
  };
  pass-as-file = {
    about = "passAsFile puts a variable's text into a file and leaves the variable out";
    script = "echo $textPath > $out; cat $textPath >> $out; env | grep -c ^text= >> $out || true; stat -c '%A %h %u %g %s %n' /build /build/.attr* >> $out";
    attrs = { passAsFile = [ "text" ]; text = "a long\ntext"; };
  };
  structured-json = {
    about = ".attrs.json has the attributes and the outputs";
    drv = structured {
      name = "structured-json";
      script = "cat $NIX_ATTRS_JSON_FILE > $out";
      nested = { list = [ 1 2.5 true null "x" ]; deeper.still = { }; };
      text = "größe \"quoted\" \\ \n";
    };
  };
  structured-shell = {
    about = ".attrs.sh declares what a shell can hold";
    drv = structured {
      name = "structured-shell";
      script = "cat $NIX_ATTRS_SH_FILE > $out";
      text = "it's\na $text";
      number = 7;
      negative = -3;
      fraction = 2.5;
      yes = true;
      no = false;
      nothing = null;
      list = [ "a" 1 true ];
      mixed = [ "a" { } ];
      map = { a = "b"; c = 3; };
      "not-a-name" = 1;
    };
  };
  structured-env = {
    about = "structured attributes leave the environment alone";
    drv = structured { name = "structured-env"; script = print; text = "not there"; };
  };
  graph-plain = {
    about = "exportReferencesGraph writes a closure's registration";
    script = "cat graph other > $out";
    attrs.exportReferencesGraph = [ "graph" user "other" dep ];
  };
  graph-structured = {
    about = "with structured attributes it is in the JSON file";
    drv = structured {
      name = "graph-structured";
      script = "cat $NIX_ATTRS_JSON_FILE > $out";
      exportReferencesGraph.graph = [ user ];
    };
  };
  graph-of-derivation = {
    about = "the graph of a derivation's file has its outputs too";
    script = "cat graph > $out";
    attrs.exportReferencesGraph = [ "graph" user.drvPath ];
  };
  graph-odd = {
    about = "exportReferencesGraph needs pairs";
    script = "touch $out";
    attrs.exportReferencesGraph = [ "graph" dep "alone" ];
    exits = 1;
    says = [ "exportReferencesGraph" "odd number" ];
  };
  impure-variables-fixed = {
    about = "impureEnvVars come from the caller for a fixed output";
    script = "echo $PARITY > $out";
    attrs = {
      impureEnvVars = [ "PARITY" "NOT_SET" ];
      outputHashAlgo = "sha256";
      outputHash = builtins.hashString "sha256" "from the caller\n";
    };
  };
  impure-variables-plain = {
    about = "impureEnvVars mean nothing without a fixed output";
    script = "echo \"$PARITY\" > $out";
    attrs.impureEnvVars = [ "PARITY" ];
  };
  streams = {
    about = "standard input is empty, and output goes to a terminal in raw mode";
    script = ''
      { pwd; cat | wc -c; test -t 0 || echo no input terminal; test -t 1 && test -t 2 && echo terminals; } > $out.tmp
      if [ -t 1 ]; then echo one >> $out.tmp; fi
      stty -a < /proc/self/fd/1 >> $out.tmp 2>&1 || true
      cat $out.tmp > $out; rm $out.tmp
    '';
  };
  identity = {
    about = "user, group, umask and limits";
    script = "{ id -u; id -g; id -G; umask; ulimit -c; whoami; } > $out";
  };
}
