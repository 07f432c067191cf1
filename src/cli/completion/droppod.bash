# Completes droppod's command lines in bash.

_droppod() {
    local program=${COMP_WORDS[0]} words=() word glue= breaks= prefix= current line i
    type -P -- "$program" >/dev/null || program=droppod

    # bash takes --output=json and condition=Ready apart; droppod wants them whole.
    for ((i = 1; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ ${#words[@]} -gt 0 && (-n $glue || $word == [=:]*) ]]; then
            words[-1]+=$word
        else
            words+=("$word")
        fi
        glue=
        [[ $word == [=:] ]] && glue=1
    done

    # Of a word that was taken apart only the end is replaced.
    current=${words[-1]}
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+='='
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=':'
    if [[ -n $breaks && $current == *[$breaks]* ]]; then
        prefix=${current%"${current##*[$breaks]}"}
    fi

    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :files) compopt -o default ;;
        :directories) compopt -o dirnames ;;
        *)
            line=${line%%$'\t'*}
            [[ $line == "$current"* ]] && COMPREPLY+=("${line#"$prefix"}")
            ;;
        esac
    done < <("$program" complete -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace
    fi
}

complete -F _droppod droppod
