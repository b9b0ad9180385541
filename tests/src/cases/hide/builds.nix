# Builds that look around. `graph` is the demonstration's directory, which names the toolchain and the shell.
{ graph, script ? "", undeclared ? "", impure ? "" }:
let
  paths = builtins.mapAttrs (_: builtins.storePath) (builtins.fromJSON (builtins.readFile (graph + "/inputs.json")));
  sh = import (graph + "/sh.nix") { inherit (paths) busybox; };
  cc = (import (graph + "/graph.nix") { }).cc;
in
rec {
  # The library that a build declares.
  wish = sh {
    name = "wish";
    path = [ cc ];
    script = ''
      mkdir -p $out/include $out/lib
      echo 'const char *wish(void);' > $out/include/wish.h
      echo 'const char *wish(void) { return "declared"; }' > wish.c
      cc -c wish.c -o wish.o
      ${cc}/bin/ar rc $out/lib/libwish.a wish.o
    '';
  };

  # Looks for it in the usual places first, as a configure script does, and links the first that it finds.
  configured = sh {
    name = "configured";
    path = [ cc ];
    script = ''
      for prefix in /usr/local /opt/homebrew ${wish}; do
        if [ -e $prefix/include/wish.h ]; then header=$prefix; break; fi
        if cat $prefix/include/wish.h 2> why; then exit 1; fi
        grep -q 'No such file or directory' why
      done
      for prefix in /usr/local /opt/homebrew ${wish}; do
        if [ -e $prefix/lib/libwish.a ]; then library=$prefix; break; fi
      done
      echo '#include <wish.h>
      int puts(const char *);
      int main(void) { return puts(wish()) < 0; }' > main.c
      cc -I$header/include main.c -L$library/lib -lwish -o main
      mkdir $out
      ./main > $out/says
      echo $header $library > $out/where
    '';
  };

  # Lists the store before and after it has made its output.
  listing = sh {
    name = "listing";
    inherit wish undeclared;
    script = ''
      ls /nix/store > before
      if ls $undeclared; then exit 1; fi
      mkdir $out
      cp before $out/before
      ls /nix/store > $out/after
      ls -A / > $out/root
      ls -A /nix > $out/nix
    '';
  };

  # Runs what a case gives it, with the host paths that it asks for.
  looking = sh ({
    name = "looking";
    inherit script;
  } // (if impure == "" then { } else { __impureHostDeps = [ impure ]; }));

  # Starts a host path, which a case shows it, to attack the program that runs the build.
  started = derivation {
    name = "started";
    system = "x86_64-linux";
    builder = script;
    args = [ "/attacker" "__attempts" "itself" ];
  };
}
