// The sources are taken as they are: who installs the package needs neither tsc nor JupyterLab's
// own packages, whose types are read by `jlpm check` alone.
module.exports = {
  resolve: { extensions: ['.ts', '.js'] },
  module: {
    rules: [
      {
        test: /\.ts$/,
        loader: 'builtin:swc-loader',
        options: {
          jsc: { parser: { syntax: 'typescript' }, target: 'es2021' }
        },
        type: 'javascript/auto'
      }
    ]
  }
};
