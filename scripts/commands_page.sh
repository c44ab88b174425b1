#!/bin/sh
# Prints docs/commands.md, from the help of every command:  scripts/commands_page.sh build/espquant > docs/commands.md
set -e
program=$1
unset COLUMNS

commands_of() { "$program" "$@" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }

page_of() {
  printf '\n## espquant%s\n\n' "${*:+ $*}"
  "$program" "$@" --help | sed -e '/^Options of every command:/,/^$/d' -e 's/^\(.\)/    \1/' -e '$!b' -e '/^$/d'
}

cat <<'END'
# Commands and options

What `espquant COMMAND --help` prints, without the options of every command: `--threads N`, `--max-memory SIZE`, and
`--quiet`, with which nothing is printed but errors, warnings and what a command is for. `scripts/commands_page.sh` writes this page, and a test holds it to the program.
The fields of `--json` are in [json.md](json.md).

Exit codes: 0 done, 1 the input is refused or differs, 2 wrong usage, 3 a fault of espquant, 130 stopped by Ctrl-C.
Options of earlier versions are still understood: `--test` (now `--data`), `--recipes` (`--recipe`), `run --output` (`--out`),
`latency --save` (`--out`), `--report-samples` (`--count`).
END
page_of
for command in $(commands_of); do
  page_of "$command"
  for below in $(commands_of "$command"); do page_of "$command" "$below"; done
done
