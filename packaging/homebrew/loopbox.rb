# What 'cargo xtask dist --repository URL' fills in: words in capital letters.
class Loopbox < Formula
  desc "Sandbox for builds that needs no bind mounts"
  homepage "REPOSITORY"
  version "VERSION"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "REPOSITORY/releases/download/vVERSION/loopbox-VERSION-aarch64-apple-darwin.tar.gz"
      sha256 "SUM_OF_AARCH64_APPLE_DARWIN"
    end
    on_intel do
      url "REPOSITORY/releases/download/vVERSION/loopbox-VERSION-x86_64-apple-darwin.tar.gz"
      sha256 "SUM_OF_X86_64_APPLE_DARWIN"
    end
  end

  on_linux do
    on_arm do
      url "REPOSITORY/releases/download/vVERSION/loopbox-VERSION-aarch64-unknown-linux-musl.tar.gz"
      sha256 "SUM_OF_AARCH64_UNKNOWN_LINUX_MUSL"
    end
    on_intel do
      url "REPOSITORY/releases/download/vVERSION/loopbox-VERSION-x86_64-unknown-linux-musl.tar.gz"
      sha256 "SUM_OF_X86_64_UNKNOWN_LINUX_MUSL"
    end
  end

  def install
    bin.install "bin/loopbox"
    man1.install Dir["share/man/man1/*.1"]
    bash_completion.install "share/bash-completion/completions/loopbox"
    zsh_completion.install "share/zsh/site-functions/_loopbox"
    fish_completion.install "share/fish/vendor_completions.d/loopbox.fish"
    doc.install Dir["share/doc/loopbox/*"]
  end

  def caveats
    <<~EOS
      Views are mounted by root: 'sudo loopbox doctor' says what this machine lacks.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/loopbox --version")
    assert_match "good", shell_output("#{bin}/loopbox doctor", nil)
  end
end
