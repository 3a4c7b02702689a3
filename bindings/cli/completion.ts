/** `crashlab completion`: scripts by which shells complete commands, options and names of faults. */
import { Argument, Command } from "commander";
import { catalogue } from "../faults/catalogue.ts";
import { examples } from "./files.ts";

interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly string[];
}

/** `commands`: the command's own, when they are asked for. */
export function completionCommand(commands: () => readonly Command[]): Command {
  return new Command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>", "whose script").choices(["bash", "zsh", "fish"]))
    .addHelpText(
      "after",
      examples(
        "crashlab completion bash > ~/.local/share/bash-completion/completions/crashlab",
        "source <(crashlab completion zsh)",
        "crashlab completion fish > ~/.config/fish/completions/crashlab.fish",
      ),
    )
    .action((shell: "bash" | "zsh" | "fish") => {
      const completed = commands().map((command) => ({
        name: command.name(),
        summary: command.description(),
        options: [
          ...command.commands.map((each) => each.name()),
          ...[command, ...command.commands].flatMap(({ options }) =>
            options.flatMap(({ long }) => long ?? []),
          ),
          "--help",
        ].filter((word, index, all) => all.indexOf(word) === index),
      }));
      console.log({ bash, zsh, fish }[shell](completed));
    });
}

const faultNames = (): string => catalogue.map(({ name }) => name).join(" ");

function bash(commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return `# bash completion for crashlab
_crashlab() {
  local current=\${COMP_WORDS[COMP_CWORD]} words files=-f
  case \${COMP_CWORD}:\${COMP_WORDS[1]} in
    1:*) words="${names} --version --help"; files= ;;
    2:crash) words="${faultNames()}"; files= ;;
${commands.map(({ name, options }) => `    *:${name}) words="${options.join(" ")}" ;;`).join("\n")}
  esac
  [[ $current != -* && -n $files && \${COMP_WORDS[1]} != fuzz ]] && words=
  # Names of faults have colons, at which bash splits words.
  local prefix=
  if [[ $COMP_CWORD -gt 2 && \${COMP_WORDS[1]} == crash && \${COMP_WORDS[3]} == : ]]; then
    prefix=\${COMP_WORDS[2]}:; [[ $current == : ]] && current=
    words="${faultNames()}"; files=
  fi
  COMPREPLY=($(compgen $files -W "$words" -- "$prefix$current"))
  COMPREPLY=("\${COMPREPLY[@]#"$prefix"}")
}
complete -o filenames -F _crashlab crashlab`;
}

function zsh(commands: readonly Completed[]): string {
  const quote = (text: string): string => `'${text.replaceAll("'", "'\\''").replaceAll(":", "\\:")}'`;
  return `#compdef crashlab
_crashlab() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quote(name)}:${quote(summary)}`).join("\n")}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  if (( CURRENT == 3 )) && [[ $words[2] == crash ]]; then compadd -- ${faultNames()}; return; fi
  case $words[2] in
${commands.map(({ name, options }) => `    ${name}) [[ $PREFIX == -* || $words[2] == fuzz ]] && compadd -- ${options.join(" ")} ;;`).join("\n")}
  esac
  [[ $PREFIX == -* ]] || _files
}
compdef _crashlab crashlab`;
}

function fish(commands: readonly Completed[]): string {
  const quote = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c crashlab -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
    ...options.map((option) => {
      const word = option.startsWith("--") ? `-l ${option.slice(2)}` : `-a ${option}`;
      return `complete -c crashlab -n '__fish_seen_subcommand_from ${name}' ${word}`;
    }),
  ]);
  const faults = `complete -c crashlab -n '__fish_seen_subcommand_from crash' -f -a ${quote(faultNames())}`;
  return ["# fish completion for crashlab", ...lines, faults].join("\n");
}
