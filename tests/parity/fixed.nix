# Outputs whose contents are known beforehand.
{ sh, busybox, dep, ... }:
let
  text = "the contents\n";
  flat = algorithm: {
    about = "one file by its ${algorithm}";
    script = "echo the contents > $out";
    attrs = { outputHashAlgo = algorithm; outputHash = builtins.hashString algorithm text; };
  };
  # Of the archive of that file.
  archive = {
    sha1 = "215ed9ce3b493ff20a9f8d74841d35ac6daf2c76";
    sha256 = "ea679bc9aae1d1665eefeae35c847013a55b6a33265c323480e50b189a9b32b5";
    sha512 = "b5a43cf75964ff08703dd054e3b29b41f9cb6ffa7833ac8a0a8bace1d40a0f11a81edc0d674c15ddfc92038b215bfac8ce50df19a903257d0e4a53d7b0298a83";
  };
  recursive = algorithm: {
    about = "an archive by its ${algorithm}";
    script = "echo the contents > $out";
    attrs = { outputHashMode = "recursive"; outputHashAlgo = algorithm; outputHash = archive.${algorithm}; };
  };
  mismatch = {
    exits = 102;
    says = [ "hash mismatch in fixed-output derivation" "specified: sha256-" "got:    sha256-" ];
  };
  first = sh ({ name = "fixed-there-already"; script = "echo the contents > $out"; } // flatSha256);
  flatSha256 = { outputHashAlgo = "sha256"; outputHash = builtins.hashString "sha256" text; };
in
{
  fixed-md5 = flat "md5";
  fixed-sha1 = flat "sha1";
  fixed-sha256 = flat "sha256";
  fixed-sha512 = flat "sha512";
  fixed-recursive-sha1 = recursive "sha1";
  fixed-recursive-sha256 = recursive "sha256";
  fixed-recursive-sha512 = recursive "sha512";
  fixed-sri = {
    about = "a hash that names its own function";
    script = "echo the contents > $out";
    attrs.outputHash = "sha256-WWSWaA/ZkTarN0Qm30rg7VFP9ggBITfZ2OFkypgxqpA=";
  };
  fixed-directory = {
    about = "a directory by its archive";
    script = "mkdir $out; echo x > $out/file; chmod 755 $out/file; ln -s file $out/link";
    attrs = { outputHashMode = "recursive"; outputHash = "sha256-WFd4FkZ8itIqDvfdxtBmrN59X3Q5xheAhlT1kJH4pu8="; };
  };
  fixed-modes-do-not-count = {
    about = "the modes that the store changes anyway do not matter";
    script = "echo the contents > $out; chmod 600 $out; touch -d '2020-01-02 03:04:05' $out";
    attrs = flatSha256;
  };
  fixed-wrong = {
    about = "other contents than were promised";
    script = "echo other contents > $out";
    attrs = flatSha256;
  } // mismatch;
  fixed-wrong-recursive = {
    about = "another archive than was promised";
    script = "mkdir $out";
    attrs = { outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = archive.sha256; };
  } // mismatch;
  fixed-flat-executable = {
    about = "a hash of bytes alone does not cover a mode";
    script = "echo the contents > $out; chmod 755 $out";
    attrs = flatSha256;
    exits = 1;
    says = [ "should be a non-executable regular file" ];
  };
  fixed-flat-directory = {
    about = "nor a directory";
    script = "mkdir $out";
    attrs = flatSha256;
    exits = 1;
    says = [ "should be a non-executable regular file" ];
  };
  fixed-flat-link = {
    about = "nor a link";
    script = "ln -s x $out";
    attrs = flatSha256;
    exits = 1;
    says = [ "should be a non-executable regular file" ];
  };
  fixed-refers = {
    about = "a fixed output must not refer to the store";
    script = "echo ${dep} > $out";
    attrs.outputHash = builtins.hashString "sha256" "${builtins.unsafeDiscardStringContext dep.outPath}\n";
    attrs.outputHashAlgo = "sha256";
    exits = 1;
    says = [ "is not allowed to refer to other store paths" ];
  };
  fixed-fails = {
    about = "a failure of a fixed output may be gone the next time, and is told by another status";
    script = "exit 3";
    attrs = flatSha256;
    exits = 1;
    says = [ "failed with exit code 3" ];
  };
  fixed-missing = {
    about = "a fixed output that is not made";
    script = "true";
    attrs = flatSha256;
    exits = 1;
    says = [ "failed to produce output path" ];
  };
  fixed-there-already = {
    about = "contents that are there already are not made again";
    script = "echo it was built; exit 1";
    attrs = flatSha256;
    steps = [ { before = "nix-store --realise ${first.drvPath} > /dev/null 2>&1"; } ];
  };
  fixed-checked = {
    about = "a fixed output is told that its hash is checked, and has the machine's network";
    script = "test \"$NIX_OUTPUT_CHECKED\" = 1 && test -e /etc/hosts -o ! -e /etc/no; echo the contents > $out";
    attrs = flatSha256;
  };
}
