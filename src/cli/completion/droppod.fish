# Completes droppod's command lines in fish.

function __droppod_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    type -q -f -- "$program"; or set program droppod
    for line in ($program complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$current"
            case ':directories'
                __fish_complete_directories "$current" ''
            case '*'
                echo $line
        end
    end
end

complete -c droppod -f -a '(__droppod_complete)'
