module github.com/canhub-go/canhub

go 1.26
