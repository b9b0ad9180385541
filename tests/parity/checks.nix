# What a derivation demands of its outputs.
{ sh, structured, busybox, dep, user, ... }:
let
  refused = {
    exits = 1;
    says = [ "is not allowed to refer to the following paths" ];
  };
  refers = "echo ${user} > $out";
in
{
  allowed-references = { about = "allowedReferences, kept"; script = refers; attrs.allowedReferences = [ user ]; };
  allowed-references-none = { about = "none are allowed, and none are made"; script = "echo x > $out"; attrs.allowedReferences = [ ]; };
  allowed-references-broken = { about = "allowedReferences, broken"; script = refers; attrs.allowedReferences = [ dep ]; } // refused;
  allowed-references-self = { about = "the output itself has to be allowed"; script = "echo $out > $out"; attrs.allowedReferences = [ ]; } // refused;
  allowed-references-by-name = { about = "outputs are named"; script = "echo $out > $out"; attrs.allowedReferences = [ "out" ]; };
  allowed-references-unknown = {
    about = "a name that is neither an output nor a path";
    script = "echo x > $out";
    attrs.allowedReferences = [ "nothing" ];
    exits = 1;
    says = [ "nothing" "output check for 'out' contains" ];
  };
  allowed-requisites = { about = "allowedRequisites, kept"; script = refers; attrs.allowedRequisites = [ user dep ]; };
  allowed-requisites-broken = { about = "allowedRequisites, broken further on"; script = refers; attrs.allowedRequisites = [ user ]; } // refused;
  disallowed-references = { about = "disallowedReferences looks at the first step only"; script = refers; attrs.disallowedReferences = [ dep ]; };
  disallowed-references-broken = { about = "disallowedReferences, broken"; script = refers; attrs.disallowedReferences = [ user ]; } // refused;
  disallowed-requisites-broken = { about = "disallowedRequisites, broken further on"; script = refers; attrs.disallowedRequisites = [ dep ]; } // refused;
  checks-of-one-output = {
    about = "outputChecks are of one output each";
    drv = structured {
      name = "checks-of-one-output";
      outputs = [ "out" "dev" ];
      script = "echo ${user} > $out; echo x > ${placeholder "dev"}";
      outputChecks = { out.allowedReferences = [ user ]; dev.allowedReferences = [ ]; };
    };
  };
  checks-of-one-output-broken = {
    about = "outputChecks, broken by the second";
    drv = structured {
      name = "checks-of-one-output-broken";
      outputs = [ "out" "dev" ];
      script = "echo x > $out; echo ${user} > ${placeholder "dev"}";
      outputChecks.dev.disallowedRequisites = [ dep ];
    };
  } // refused;
  checks-at-the-top = {
    about = "with structured attributes the checks of all outputs mean nothing";
    drv = structured { name = "checks-at-the-top"; script = refers; allowedReferences = [ ]; };
  };
  max-size = {
    about = "maxSize may be reached";
    drv = structured { name = "max-size"; script = "echo x > $out"; outputChecks.out.maxSize = 120; };
  };
  max-size-broken = {
    about = "maxSize, broken";
    drv = structured { name = "max-size-broken"; script = "echo x > $out"; outputChecks.out.maxSize = 100; };
    exits = 1;
    says = [ "is too large at 120 bytes; limit is 100 bytes" ];
  };
  max-closure-size-broken = {
    about = "maxClosureSize, broken";
    drv = structured { name = "max-closure-size-broken"; script = refers; outputChecks.out.maxClosureSize = 500; };
    exits = 1;
    says = [ "closure of path" "is too large at" "limit is 500 bytes" ];
  };
  checks-of-a-wrong-type = {
    about = "outputChecks of a wrong type";
    drv = structured { name = "checks-of-a-wrong-type"; script = "echo x > $out"; outputChecks.out.maxSize = "small"; };
    exits = 1;

  };
}
