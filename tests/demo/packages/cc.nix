# The C compiler as a command: Zig's clang and linker, musl's headers and archive, linked statically.
{ sh, busybox, zig, musl, ... }:
sh {
  name = "cc";
  script = ''
    mkdir -p $out/bin
    cat > $out/bin/cc <<'EOF'
    #!${busybox}/bin/sh
    compile="--target=x86_64-linux-musl -nostdinc -isystem ${zig}/lib/include -isystem ${musl}/include -Wno-everything"
    for word in "$@"; do
      case "$word" in
        -c|-E|-S|-M|-MM|--version) exec ${zig}/zig clang $compile "$@" ;;
      esac
    done
    exec ${zig}/zig clang $compile "$@" -static -nostdlib --sysroot=/var/empty -fuse-ld=@out@/bin/ld -L${musl}/lib \
      ${musl}/lib/crt1.o ${musl}/lib/crti.o \
      -Wl,--start-group ${musl}/lib/libc.a ${musl}/lib/libgcc.a -Wl,--end-group ${musl}/lib/crtn.o
    EOF
    sed -i "s|@out@|$out|" $out/bin/cc
    for tool in ar ranlib; do
      printf '#!${busybox}/bin/sh\nexec ${zig}/zig %s "$@"\n' $tool > $out/bin/$tool
    done
    printf '#!${busybox}/bin/sh\nexec ${zig}/zig ld.lld "$@"\n' > $out/bin/ld
    chmod +x $out/bin/*

    # It works, or nothing after it would.
    echo 'int puts(const char *); int main(void) { return puts("it links") < 0; }' > hello.c
    $out/bin/cc hello.c -o hello
    ./hello
  '';
}
