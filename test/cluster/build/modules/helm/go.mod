module github.com/scepter-pki/scepter/test/cluster/build/modules/helm

go 1.26.0
